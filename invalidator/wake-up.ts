/** Waits for a ring, for so long at most. A ring that comes while nobody waits ends the next wait. */
export class WakeUp {
  #rung = false
  #wake: (() => void) | undefined

  ring(): void {
    this.#rung = true
    this.#wake?.()
  }

  wait(atMostMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        this.#wake = undefined
        this.#rung = false
        resolve()
      }
      if (this.#rung || signal.aborted) atMostMs = 0
      const timer = atMostMs === Infinity ? undefined : setTimeout(done, atMostMs)
      signal.addEventListener('abort', done)
      this.#wake = done
    })
  }
}
