import type { Budget } from './time-budget.ts'

/** Thrown if a command gets no reply in time. Redis may still execute the command. */
export class TimedOut extends Error {
  override readonly name = 'TimedOut'

  /**
   * Whether the command had enough time. If not, the budget was almost spent and Redis may be fast.
   */
  readonly isSlow: boolean

  constructor(isSlow: boolean) {
    super()
    this.isSlow = isSlow
  }
}

interface PendingCommand {
  readonly budget: Budget
  readonly sinceMs: number
  readonly untilMs: number
  readonly timeOut: (error: TimedOut) => void
}

interface Observer {
  observe(seconds: number): void
}

/** Timer steps in one time-out. A delayed step counts as two steps at most. */
const STEPS = 5

/**
 * Limits the wait for each command to its time-out and to the budget of its request, with one timer
 * for all commands. Waits for another request's load are not charged: a load takes that time anyway.
 *
 * Time in which this process is busy and its timer is late is not charged to Redis either. Otherwise
 * a burst of requests would look like an unresponsive Redis and send all of them to Postgres.
 */
export class CommandTimer {
  readonly #timeoutMs: number
  readonly #stepMs: number
  readonly #pending = new Set<PendingCommand>()
  #timer: NodeJS.Timeout | undefined
  /** Time counted up to the last step, and `performance.now()` of that step. */
  #countedMs = 0
  #steppedAtMs = 0

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
    this.#stepMs = timeoutMs / STEPS
  }

  /**
   * Waits for a command, charges the wait to the budget, and observes the time to the reply in seconds.
   * @throws TimedOut if the time-out or the budget ends first.
   */
  track<T>(command: Promise<T>, budget: Budget, duration?: Observer): Promise<T> {
    if (this.#timer === undefined) this.#start()
    const sinceMs = this.#nowMs()
    const allowedMs = Math.min(this.#timeoutMs, budget.begin(sinceMs))
    return new Promise((resolve, reject) => {
      const pendingCommand = { budget, sinceMs, untilMs: sinceMs + allowedMs, timeOut: reject }
      this.#pending.add(pendingCommand)
      // The deadline may be before the next step.
      if (allowedMs < this.#stepMs) this.#step()
      /** Returns the time of the reply; NaN if the command has timed out. */
      const end = (): number => {
        if (!this.#pending.delete(pendingCommand)) return NaN
        const atMs = this.#nowMs()
        budget.end(atMs)
        return atMs
      }
      command.then(
        (answer) => {
          const atMs = end()
          if (atMs >= sinceMs) duration?.observe((atMs - sinceMs) / 1000)
          resolve(answer)
        },
        (error: unknown) => {
          end()
          reject(error)
        },
      )
    })
  }

  #nowMs(): number {
    return this.#countedMs + Math.min(2 * this.#stepMs, performance.now() - this.#steppedAtMs)
  }

  #start(): void {
    this.#steppedAtMs = performance.now()
    this.#schedule(this.#stepMs)
  }

  #schedule(ms: number): void {
    this.#timer = setTimeout(() => this.#step(), ms)
  }

  #step(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#countedMs = this.#nowMs()
    this.#steppedAtMs = performance.now()
    let nextMs = this.#stepMs
    for (const pendingCommand of this.#pending) {
      const leftMs = pendingCommand.untilMs - this.#countedMs
      if (leftMs > 0) nextMs = Math.min(nextMs, leftMs)
      else this.#timeOut(pendingCommand)
    }
    if (this.#pending.size > 0) this.#schedule(nextMs)
  }

  #timeOut(pendingCommand: PendingCommand): void {
    this.#pending.delete(pendingCommand)
    pendingCommand.budget.end(pendingCommand.untilMs)
    const isSlow = pendingCommand.untilMs - pendingCommand.sinceMs >= this.#timeoutMs / 2
    // Rejects after Node has read its sockets: the reply may have arrived already.
    setImmediate(pendingCommand.timeOut, new TimedOut(isSlow))
  }
}
