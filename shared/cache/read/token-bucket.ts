/** Permits a number of operations per second, with a burst. Never waits. */
export class TokenBucket {
  readonly #perSecond: number
  readonly #burst: number
  readonly #nowMs: () => number
  #tokens: number
  #updatedAtMs: number

  constructor(perSecond: number, burst: number, nowMs: () => number = () => performance.now()) {
    this.#perSecond = perSecond
    this.#burst = burst
    this.#nowMs = nowMs
    this.#tokens = burst
    this.#updatedAtMs = nowMs()
  }

  take(): boolean {
    const updatedAtMs = this.#nowMs()
    this.#tokens = Math.min(
      this.#burst,
      this.#tokens + ((updatedAtMs - this.#updatedAtMs) / 1000) * this.#perSecond,
    )
    this.#updatedAtMs = updatedAtMs
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}
