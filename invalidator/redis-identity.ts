import { every } from './every.ts'

/** Last known identity of the Redis. It is kept while Redis is unavailable. */
export interface RedisIdentity {
  /** `null` until it was read. */
  readonly current: string | null
  /** Error if it is not known although the connection had time to open; else `null`. */
  readonly failure: Error | null
  /** Reads it again if that is due. Does not wait, because the loop must ping meanwhile. */
  refresh(): void
}

const REFRESH_EVERY_MS = 1_000
/** Longest wait for the connection to Redis after a start. */
const CONNECT_MS = 2_000

export function createRedisIdentity(readIdentity: () => Promise<string>): RedisIdentity {
  const due = every(REFRESH_EVERY_MS)
  const lateAtMs = performance.now() + CONNECT_MS
  let current: string | null = null
  let cause: unknown
  let isReading = false
  return {
    get current() {
      return current
    },
    get failure() {
      if (current !== null || performance.now() < lateAtMs) return null
      return new Error('cannot read the identity of Redis', { cause })
    },
    refresh() {
      if (isReading || (current !== null && !due())) return
      isReading = true
      readIdentity()
        .then((found) => (current = found))
        .catch((error: unknown) => (cause = error))
        .finally(() => (isReading = false))
    },
  }
}
