/** The budget of a wait for one command. The caller passes all times, from one clock. */
export interface Budget {
  /** Remaining time, as of the last command that ended. */
  readonly leftMs: number
  /** Records that a command was sent. Returns the time that it may take. */
  begin(atMs: number): number
  /** Records that a command was answered or timed out. */
  end(atMs: number): void
}

/**
 * Time that one request may wait for Redis, over all its commands. Concurrent commands share it: it is
 * charged with the union of their waits.
 */
export class TimeBudget implements Budget {
  #leftMs: number
  #inFlight = 0
  #sinceMs = 0

  constructor(totalMs: number) {
    this.#leftMs = totalMs
  }

  get leftMs(): number {
    return this.#leftMs
  }

  begin(atMs: number): number {
    if (this.#inFlight++ === 0) this.#sinceMs = atMs
    return this.#leftMs - (atMs - this.#sinceMs)
  }

  end(atMs: number): void {
    if (--this.#inFlight > 0) return
    const leftMs = this.#leftMs - (atMs - this.#sinceMs)
    this.#leftMs = leftMs < ROUNDING_MS ? 0 : leftMs
  }
}

/**
 * The budgets of several requests that wait for one command. All are charged with its wait, since they begin
 * in the same turn of the event loop. The first decides how long the command may take.
 */
export class SharedBudget implements Budget {
  readonly #budgets: TimeBudget[]
  readonly #first: TimeBudget
  #sinceMs: number | null = null

  constructor(first: TimeBudget) {
    this.#first = first
    this.#budgets = [first]
  }

  get leftMs(): number {
    return this.#first.leftMs
  }

  begin(atMs: number): number {
    this.#sinceMs = atMs
    return this.#first.begin(atMs)
  }

  /** Adds a request. A command that was rejected before it was sent charges none. */
  join(budget: TimeBudget): void {
    if (this.#sinceMs === null) return
    budget.begin(this.#sinceMs)
    this.#budgets.push(budget)
  }

  end(atMs: number): void {
    for (const budget of this.#budgets) budget.end(atMs)
  }
}

/** Rounding error of summed times. */
const ROUNDING_MS = 0.001
