import type { InvalidationStores } from '../shared/cache/index.ts'

/** Times of the clocks of all buckets. In a fast sequence of windows the previous reply is recent enough. */
export interface RedisTimes {
  /** Returns a time of each bucket that has passed. */
  read(): Promise<readonly number[]>
  /** Sets the time that a script of a bucket returned. */
  set(bucket: number, redisMs: number, atMs?: number): void
  discard(): void
}

/** Longest reuse of a Redis time. It makes a watermark appear less fresh by as much. */
const TTL_MS = 20

/**
 * In a cluster the times of the last replies count, however old: a bucket that is not stored often has an
 * older one, and its watermark appears less fresh by as much.
 */
export function createRedisTimes(stores: InvalidationStores): RedisTimes {
  let times: number[] = []
  let setAtMs = -Infinity
  return {
    async read() {
      if (stores.count > 1) return times.slice()
      return performance.now() - setAtMs < TTL_MS ? times : [await stores.at(0).time()]
    },
    set(bucket, redisMs, atMs = performance.now()) {
      if (stores.count === 1) times = [redisMs]
      else times[bucket] = redisMs
      setAtMs = atMs
    },
    discard() {
      times = []
      setAtMs = -Infinity
    },
  }
}
