/**
 * How long one request may wait for Redis, over all its commands. Commands that are in flight at the
 * same time spend it together: it pays for the union of their waits. The caller gives the times, all
 * of one clock.
 */
export class TimeBudget {
  #leftMs: number
  #inFlight = 0
  #sinceMs = 0

  constructor(totalMs: number) {
    this.#leftMs = totalMs
  }

  /** What is left, as of the last command that ended. */
  get leftMs(): number {
    return this.#leftMs
  }

  /** A command was sent. Returns how long it may take. */
  begin(atMs: number): number {
    if (this.#inFlight++ === 0) this.#sinceMs = atMs
    return this.#leftMs - (atMs - this.#sinceMs)
  }

  /** A command was answered or given up. */
  end(atMs: number): void {
    if (--this.#inFlight > 0) return
    const leftMs = this.#leftMs - (atMs - this.#sinceMs)
    this.#leftMs = leftMs < ROUNDING_MS ? 0 : leftMs
  }
}

/** What sums of times may be wrong by. */
const ROUNDING_MS = 0.001
