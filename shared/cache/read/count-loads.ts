import type { Loader, LoadRequest, LoadResult } from './loader.ts'
import type { CacheMetrics } from './metrics.ts'

/** Returns the loader's `load`, counted and timed. */
export function countLoads<DB>(
  loader: Loader<DB>,
  { loads, loadSeconds }: Pick<CacheMetrics, 'loads' | 'loadSeconds'>,
): (request: LoadRequest<DB>, forStorage: boolean) => Promise<LoadResult> {
  return (request, forStorage) => {
    const { name } = request.resource
    loads.labels(name).inc()
    return loader.load(request, forStorage).finally(loadSeconds.labels(name).startTimer())
  }
}
