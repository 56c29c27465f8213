/** No answer in time. What was asked may still happen. */
export class TimedOut extends Error {
  override readonly name = 'TimedOut'
}

/** A wait is measured in so many steps, and a step never counts for more than two. */
const STEPS = 5

/**
 * How long one request may wait for Redis, over all its commands. Waiting for another request's
 * load is not counted: that is time the load would take anyway.
 *
 * Nor is it Redis that keeps us waiting while this process is busy, and its timers are held up. Or a
 * burst of requests would look like a silent Redis, and send all of them to Postgres.
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
    let allowedMs = Math.min(this.#leftMs, commandTimeoutMs)
    const stepMs = allowedMs / STEPS
    let stepAt = performance.now()
    const charge = () => {
      const waitedMs = Math.min(2 * stepMs, performance.now() - stepAt)
      stepAt = performance.now()
      allowedMs -= waitedMs
      this.#leftMs -= waitedMs
    }
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const step = () => {
        charge()
        if (allowedMs > 0) timer = setTimeout(step, Math.min(stepMs, allowedMs))
        // Node runs timers before it reads its sockets: an answer may have arrived.
        else setImmediate(reject, new TimedOut())
      }
      timer = setTimeout(step, stepMs)
    })
    try {
      return await Promise.race([command(), late])
    } finally {
      clearTimeout(timer)
      charge()
    }
  }
}
