/** How long one request may wait for Redis, over all its commands. */
export class Budget {
  #leftMs: number

  constructor(totalMs: number) {
    this.#leftMs = totalMs
  }

  get leftMs(): number {
    return this.#leftMs
  }

  charge(waitedMs: number): void {
    this.#leftMs -= waitedMs
  }
}
