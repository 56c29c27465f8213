/** Waits for a notification. One that arrives between two waits ends the next wait at once. */
export class WakeUp {
  #notified = false
  #wake: (() => void) | undefined

  notify(): void {
    this.#notified = true
    this.#wake?.()
  }

  /** Waits at most `atMostMs`. Returns whether a notification arrived. */
  wait(atMostMs: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        const notified = this.#notified
        this.#wake = undefined
        this.#notified = false
        resolve(notified)
      }
      if (this.#notified || signal.aborted) atMostMs = 0
      const timer = atMostMs === Infinity ? undefined : setTimeout(done, atMostMs)
      signal.addEventListener('abort', done)
      this.#wake = done
    })
  }
}
