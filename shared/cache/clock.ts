/**
 * What time it is in Redis, without asking each time: its last TIME and our monotonic clock since
 * that was *sent*. So it is never behind, entries are never taken for younger than they are, and no
 * host's wall clock matters. It belongs to a connection and is forgotten with it.
 */
export class RedisClock {
  #offsetMs: number | null = null

  /** Milliseconds since the epoch by Redis; `null` before the first answer of this connection. */
  now(): number | null {
    return this.#offsetMs === null ? null : performance.now() + this.#offsetMs
  }

  /** Takes a reading: what Redis said, and `performance.now()` when it was asked. */
  set(redisMs: number, askedAtMs: number): void {
    this.#offsetMs = redisMs - askedAtMs
  }

  forget(): void {
    this.#offsetMs = null
  }
}
