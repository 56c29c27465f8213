/** Lets so many through per second, with room for a burst; never waits. */
export class Ration {
  readonly #perSecond: number
  readonly #burst: number
  readonly #nowMs: () => number
  #left: number
  #at: number

  constructor(perSecond: number, burst: number, nowMs: () => number = () => performance.now()) {
    this.#perSecond = perSecond
    this.#burst = burst
    this.#nowMs = nowMs
    this.#left = burst
    this.#at = nowMs()
  }

  take(): boolean {
    const at = this.#nowMs()
    this.#left = Math.min(this.#burst, this.#left + ((at - this.#at) / 1000) * this.#perSecond)
    this.#at = at
    if (this.#left < 1) return false
    this.#left -= 1
    return true
  }
}
