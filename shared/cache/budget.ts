import { withTimeout } from './with-timeout.ts'

/**
 * How long one request may wait for Redis, over all its commands. Waiting for another request's
 * load is not counted: that is time the load would take anyway.
 */
export class Budget {
  #leftMs: number

  constructor(totalMs: number) {
    this.#leftMs = totalMs
  }

  get leftMs(): number {
    return this.#leftMs
  }

  /** Waits for a command and charges the wait. @throws TimedOut when it, or the budget, has had its time. */
  async spend<T>(command: () => Promise<T>, commandTimeoutMs: number): Promise<T> {
    const allowedMs = Math.min(this.#leftMs, commandTimeoutMs)
    const sentAt = performance.now()
    try {
      return await withTimeout(command(), allowedMs)
    } finally {
      // What goes beyond is a pause of this process, and not Redis' doing.
      this.#leftMs -= Math.min(allowedMs, performance.now() - sentAt)
    }
  }
}
