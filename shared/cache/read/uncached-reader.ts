import { TimeBudget } from '../entry-store/time-budget.ts'
import { bypassAnswer } from './answer.ts'
import { countLoads } from './count-loads.ts'
import type { Loader } from './loader.ts'
import type { CacheMetrics } from './metrics.ts'
import type { Reader } from './reader.ts'

/** Creates the reader of a disabled cache: every read loads from Postgres, and Redis is not used. */
export function createUncachedReader<DB>({ loader, metrics }: UncachedDeps<DB>): Reader<DB> {
  const load = countLoads(loader, metrics)
  return {
    async read(resource, params, variant) {
      const answer = bypassAnswer(await load({ resource, params, variant }, false), 'off')
      metrics.reads.of(resource.name, answer.outcome, 'off').n++
      return answer
    },
    openBudget: () => new TimeBudget(0),
    query: loader.query,
  }
}

export interface UncachedDeps<DB> {
  readonly loader: Loader<DB>
  readonly metrics: CacheMetrics
}
