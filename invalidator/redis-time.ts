import type { InvalidationStore } from '../shared/cache/index.ts'

/** The clock's time in Redis. In a fast sequence of windows the previous reply is recent enough. */
export interface RedisTime {
  read(): Promise<number>
  /** Sets the time that a script returned, and `performance.now()` before the script was sent. */
  set(redisMs: number, atMs: number): void
  discard(): void
}

/** Longest reuse of a Redis time. It makes a watermark appear less fresh by as much. */
const TTL_MS = 20

export function createRedisTime(invalidationStore: Pick<InvalidationStore, 'time'>): RedisTime {
  let last = { redisMs: 0, atMs: -Infinity }
  return {
    read: async () =>
      performance.now() - last.atMs < TTL_MS ? last.redisMs : invalidationStore.time(),
    set(redisMs, atMs) {
      last = { redisMs, atMs }
    },
    discard() {
      last = { redisMs: 0, atMs: -Infinity }
    },
  }
}
