/** Waits for a ring, for so long at most. A ring that comes while nobody waits ends the next wait. */
export class WakeUp {
  #rung = false
  #wake: (() => void) | undefined

  ring(): void {
    this.#rung = true
    this.#wake?.()
  }

  /** Whether it rang. */
  wait(atMostMs: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        const rung = this.#rung
        this.#wake = undefined
        this.#rung = false
        resolve(rung)
      }
      if (this.#rung || signal.aborted) atMostMs = 0
      const timer = atMostMs === Infinity ? undefined : setTimeout(done, atMostMs)
      signal.addEventListener('abort', done)
      this.#wake = done
    })
  }
}
