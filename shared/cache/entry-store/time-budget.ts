/**
 * Time that one request may wait for Redis, over all its commands. Concurrent commands share it: it is
 * charged with the union of their waits. The caller passes all times, from one clock.
 */
export class TimeBudget {
  #leftMs: number
  #inFlight = 0
  #sinceMs = 0

  constructor(totalMs: number) {
    this.#leftMs = totalMs
  }

  /** Remaining time, as of the last command that ended. */
  get leftMs(): number {
    return this.#leftMs
  }

  /** Records that a command was sent. Returns the time that it may take. */
  begin(atMs: number): number {
    if (this.#inFlight++ === 0) this.#sinceMs = atMs
    return this.#leftMs - (atMs - this.#sinceMs)
  }

  /** Records that a command was answered or timed out. */
  end(atMs: number): void {
    if (--this.#inFlight > 0) return
    const leftMs = this.#leftMs - (atMs - this.#sinceMs)
    this.#leftMs = leftMs < ROUNDING_MS ? 0 : leftMs
  }
}

/** Rounding error of summed times. */
const ROUNDING_MS = 0.001
