import { TokenBucket } from '../../shared/cache/index.ts'
import { RecentMap } from '../../shared/recent-map.ts'

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
export function createTokenBuckets({ perS, burst, nowMs }: TokenBucketOptions): TokenBuckets {
  const buckets = new RecentMap<TokenBucket>(CAPACITY)

  return {
    take(key) {
      let bucket = buckets.get(key)
      if (bucket === undefined) {
        bucket = new TokenBucket(perS, burst, nowMs)
        buckets.set(key, bucket)
      }
      return bucket.take()
    },

    giveBack: (key) => buckets.get(key)?.giveBack(),
  }
}
