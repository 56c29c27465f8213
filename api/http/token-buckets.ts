import { RecentMap } from './recent-map.ts'

export interface TokenBucketOptions {
  /** Tokens added per second. */
  readonly perS: number
  /** Capacity of a bucket; a new bucket is full. */
  readonly burst: number
  /** Monotonic time in ms. */
  readonly nowMs?: () => number
}

export interface TokenBuckets {
  /** Takes a token and returns 0; if there is none, returns the time until the next one, in ms. */
  take(key: string): number
  /** Puts back a token whose use does not count. */
  giveBack(key: string): void
}

/**
 * Number of buckets that are kept at least. An evicted bucket is full again, in favour of the
 * client.
 */
const CAPACITY = 50_000

/** Creates token buckets, one for each key, in the memory of this process. */
export function createTokenBuckets({
  perS,
  burst,
  nowMs = () => performance.now(),
}: TokenBucketOptions): TokenBuckets {
  const buckets = new RecentMap<{ tokens: number; atMs: number }>(CAPACITY)

  return {
    take(key) {
      const now = nowMs()
      let bucket = buckets.get(key)
      if (bucket === undefined) {
        bucket = { tokens: burst, atMs: now }
        buckets.set(key, bucket)
      }
      bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.atMs) / 1000) * perS)
      bucket.atMs = now
      if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) / perS) * 1000)
      bucket.tokens -= 1
      return 0
    },

    giveBack(key) {
      const bucket = buckets.get(key)
      if (bucket !== undefined) bucket.tokens = Math.min(burst, bucket.tokens + 1)
    },
  }
}
