import { RecentMap } from './recent-map.ts'

export interface TokenBucketOptions {
  /** How many tokens return each second. */
  readonly perS: number
  /** How many there are at most, and at first. */
  readonly burst: number
  /** Milliseconds from any origin that never runs backwards. */
  readonly nowMs?: () => number
}

export interface TokenBuckets {
  /** Takes a token; answers 0, or the milliseconds until there will be one. */
  take(key: string): number
  /** Returns one that was taken for nothing. */
  giveBack(key: string): void
}

/** Keys beyond this many may find their bucket full again: forgetting is to their favour. */
const CAPACITY = 50_000

/** A token bucket for each key, in this process only. */
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
