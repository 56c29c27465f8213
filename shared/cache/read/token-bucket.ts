/** Permits a number of operations per second, with a burst. Never waits. */
export class TokenBucket {
  readonly #perS: number
  readonly #burst: number
  readonly #nowMs: () => number
  #tokens: number
  #updatedAtMs: number

  /** A new bucket is full. `nowMs` is a monotonic clock. */
  constructor(perS: number, burst: number, nowMs: () => number = () => performance.now()) {
    this.#perS = perS
    this.#burst = burst
    this.#nowMs = nowMs
    this.#tokens = burst
    this.#updatedAtMs = nowMs()
  }

  /** Takes a token and returns 0; if there is none, returns the time until the next one, in ms. */
  take(): number {
    const nowMs = this.#nowMs()
    const gained = ((nowMs - this.#updatedAtMs) / 1000) * this.#perS
    this.#tokens = Math.min(this.#burst, this.#tokens + gained)
    this.#updatedAtMs = nowMs
    if (this.#tokens < 1) return Math.ceil(((1 - this.#tokens) / this.#perS) * 1000)
    this.#tokens -= 1
    return 0
  }

  /** Puts back a token whose use does not count. */
  giveBack(): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + 1)
  }
}
