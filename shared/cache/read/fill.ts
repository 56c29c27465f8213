import type { Resource } from '../definition/resource.ts'
import { type CachedValue, etagOf } from '../entry-store/cached-value.ts'
import { compress, COMPRESSION, type CompressionOptions } from '../entry-store/compression.ts'
import { type EntryStore, MAX_VALUE_BYTES } from '../entry-store/entry-store.ts'
import type { Answer } from './answer.ts'
import { bodyOf, type LoadRequest, type LoadResult } from './loader.ts'
import type { CacheMetrics } from './metrics.ts'
import type { ReadCall } from './read-call.ts'
import { TokenBucket } from './token-bucket.ts'

const ABSENT_TTL_MS = 60_000
/** Bounds negative caching: a client can request any number of missing ids. */
const ABSENT_PER_S = 100
const ABSENT_BURST = 1_000
/** Time for which a value is marked as too large, also after the limit was raised. */
const TOO_LARGE_TTL_MS = 60_000
/** Detail of answers that are too large to be stored. */
export const TOO_LARGE = 'large'
/** Time for which an expired value may replace a failed load. */
export const STALE_IF_ERROR_MS = 5 * 60_000
/**
 * The TTL is shortened by a random share of at most this, so that entries that were filled together do
 * not expire together.
 */
const JITTER = 0.05

export interface FillDeps<DB> {
  readonly store: EntryStore
  readonly load: (request: LoadRequest<DB>, forStorage: boolean) => Promise<LoadResult>
  readonly metrics: CacheMetrics
  readonly maxValueBytes?: number
  readonly compression?: CompressionOptions
  /** Called with the error of a failed fill, to log it. */
  readonly onFillError: (error: unknown) => void
}

/**
 * Loads under a lease, compresses and stores the result, and answers without waiting for either. An
 * invalidation during the compression revokes the lease, as one during the load does.
 */
export type Fill<DB> = (call: ReadCall<DB>, leaseId: string, leasedAtMs: number) => Promise<Answer>

/** Creates the fill of a reader. */
export function createFill<DB>(deps: FillDeps<DB>): Fill<DB> {
  const { store, load, metrics, onFillError } = deps
  const { maxValueBytes = MAX_VALUE_BYTES, compression = COMPRESSION } = deps
  const absentBucket = new TokenBucket(ABSENT_PER_S, ABSENT_BURST)

  return async (call, leaseId, leasedAtMs) => {
    const { resource, field } = call
    const release = () => void store.release(field, leaseId).catch(onFillError)
    const result = await load(call, true).catch((error: unknown) => {
      release()
      throw error
    })
    const body = bodyOf(result)
    const etag = etagOf(body)
    const ttlMs = decideTtlMs(resource, result)
    const answer: Answer = { outcome: 'miss', body, etag, ageMs: 0, ttlMs: 0 }
    if (ttlMs <= 0 || result.incarnation === null) {
      release()
      return answer
    }
    const isTooLarge = body !== null && body.length > maxValueBytes
    const freshUntilMs = leasedAtMs + (isTooLarge ? Math.min(TOO_LARGE_TTL_MS, ttlMs) : ttlMs)
    const mayServeStale = resource.staleIfError && body !== null && !isTooLarge
    put(call, leaseId, {
      incarnation: result.incarnation,
      leasedAtMs,
      freshUntilMs,
      staleUntilMs: freshUntilMs + (mayServeStale ? STALE_IF_ERROR_MS : 0),
      etag: isTooLarge ? etagOf(Buffer.from(leaseId)) : etag,
      body: isTooLarge ? 'too large' : body,
    })
    return isTooLarge ? { ...answer, detail: TOO_LARGE } : { ...answer, ttlMs }
  }

  function put({ resource, field }: ReadCall<DB>, leaseId: string, cached: CachedValue): void {
    const count = (result: string) => metrics.fills.labels(resource.name, result).inc()
    const keepMs = cached.staleUntilMs - cached.leasedAtMs
    const send = (stored: CachedValue) => store.fill(field, leaseId, stored, keepMs)
    const compressing = compressed(resource, cached)
    const storing = compressing === null ? send(cached) : compressing.then(send)
    storing.then(
      (result) => count(cached.body === 'too large' ? 'too_large' : result),
      (error: unknown) => {
        count('failed')
        onFillError(error)
      },
    )
  }

  /**
   * Compresses a value; null if it stays plain. A body that its resource verifies stays plain, because no
   * reader inflates bytes that it has not verified.
   */
  function compressed(resource: Resource<DB>, cached: CachedValue): Promise<CachedValue> | null {
    const { body } = cached
    if (!Buffer.isBuffer(body) || resource.isGenuine !== undefined) return null
    return compress(body, compression)?.then((encoded) => ({ ...cached, ...encoded })) ?? null
  }

  /** Decides the TTL of an answer, in milliseconds; 0 if it must not be stored. */
  function decideTtlMs(resource: Resource<DB>, { loaded }: LoadResult): number {
    if (loaded?.cacheable === false) return 0
    const isLimited = loaded === null && absentBucket.take() > 0
    if (isLimited) {
      metrics.fills.labels(resource.name, 'rate_limited').inc()
      return 0
    }
    const ttlMs = loaded === null ? Math.min(ABSENT_TTL_MS, resource.ttlMs) : resource.ttlMs
    return Math.min(ttlMs * (1 - JITTER * Math.random()), loaded?.expiresInMs ?? Infinity)
  }
}
