import type { TimeBudget } from './time-budget.ts'

/** No answer in time. What was asked may still happen. */
export class TimedOut extends Error {
  override readonly name = 'TimedOut'

  /** It had time enough. Else little of a budget was left, which says nothing of the server. */
  readonly isSlow: boolean

  constructor(isSlow: boolean) {
    super()
    this.isSlow = isSlow
  }
}

interface PendingCommand {
  readonly budget: TimeBudget
  readonly sinceMs: number
  readonly untilMs: number
  readonly timeOut: (error: TimedOut) => void
}

interface Observer {
  observe(seconds: number): void
}

/** A time-out is counted in so many steps, and a step never counts for more than two. */
const STEPS = 5

/**
 * Waits for commands, each as long as it and its request's budget may take, all under one timer.
 * Waiting for another request's load is no part of it: that is time the load would take anyway.
 *
 * Nor is it Redis that keeps us waiting while this process is busy, and its timer is held up. Or a
 * burst of requests would look like a silent Redis, and send all of them to Postgres.
 */
export class CommandTimer {
  readonly #timeoutMs: number
  readonly #stepMs: number
  readonly #pending = new Set<PendingCommand>()
  #timer: NodeJS.Timeout | undefined
  /** The time that counts up to the last step, and when that was. */
  #countedMs = 0
  #steppedAtMs = 0

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
    this.#stepMs = timeoutMs / STEPS
  }

  /**
   * Waits for a command, charges the wait, and observes in seconds how long an answer took.
   * @throws TimedOut when it, or the budget, has had its time.
   */
  track<T>(command: Promise<T>, budget: TimeBudget, taken?: Observer): Promise<T> {
    if (this.#timer === undefined) this.#start()
    const sinceMs = this.#nowMs()
    const allowedMs = Math.min(this.#timeoutMs, budget.begin(sinceMs))
    return new Promise((resolve, reject) => {
      const pendingCommand = { budget, sinceMs, untilMs: sinceMs + allowedMs, timeOut: reject }
      this.#pending.add(pendingCommand)
      // It may be due before the next step.
      if (allowedMs < this.#stepMs) this.#step()
      /** The time of the end; not a number when it had been given up before. */
      const end = (): number => {
        if (!this.#pending.delete(pendingCommand)) return NaN
        const atMs = this.#nowMs()
        budget.end(atMs)
        return atMs
      }
      command.then(
        (answer) => {
          const atMs = end()
          if (atMs >= sinceMs) taken?.observe((atMs - sinceMs) / 1000)
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
    // Node runs timers before it reads its sockets: an answer may have arrived.
    const isSlow = pendingCommand.untilMs - pendingCommand.sinceMs >= this.#timeoutMs / 2
    setImmediate(pendingCommand.timeOut, new TimedOut(isSlow))
  }
}
