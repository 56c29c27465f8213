import { etagOf } from '../entry-store/cached-value.ts'
import { TimeBudget } from '../entry-store/time-budget.ts'
import type { Answer } from './answer.ts'
import { countLoads } from './count-loads.ts'
import { bodyOf, type Loader, type LoadResult } from './loader.ts'
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

/** Returns the answer of a load without the cache; `detail` is the reason. */
export const bypassAnswer = (result: LoadResult, detail: string): Answer => ({
  ...missAnswer(result),
  outcome: 'bypass',
  detail,
})

/** Returns the answer of a load whose result is not stored. */
export function missAnswer(result: LoadResult): Answer {
  const body = bodyOf(result)
  return { outcome: 'miss', body, etag: etagOf(body), ageMs: 0, ttlMs: 0 }
}
