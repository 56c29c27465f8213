import { etagOf } from '../entry-store/cached-value.ts'
import type { Encoding } from '../entry-store/compression.ts'
import { bodyOf, type LoadResult } from './loader.ts'

/** Response of the cache, ready to be sent. The `Cache-Status` header (RFC 9211) is built from it. */
export interface Answer {
  /**
   * `hit`: read from Redis. `miss`: loaded from Postgres. `stale`: an expired cached value, because the load
   * failed. `bypass`: loaded without the cache, and not stored.
   */
  readonly outcome: 'hit' | 'miss' | 'stale' | 'bypass'
  /** Reason in one word, sent as `detail=`: `redis`, `off`, `private`, ... */
  readonly detail?: string
  /** Finished response bytes; `null` if the entity does not exist. */
  readonly body: Buffer | null
  /** Encoding of the body; by default none. `inflate` returns the plain body. */
  readonly encoding?: Encoding | undefined
  /** Strong entity tag of the plain body, in quotes: `"q2l0..."`. */
  readonly etag: string
  readonly ageMs: number
  /** Time for which the answer stays fresh; 0 if it is not stored. */
  readonly ttlMs: number
  /** True if the answer comes from a load that another request started. */
  readonly collapsed?: boolean
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
