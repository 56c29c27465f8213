/** Work that goes on until it is stopped. */
export interface Repetition extends AsyncDisposable {
  /** Lets the round that runs come to its end; rejects when one failed. Returns how many there were. */
  stop(): Promise<number>
}

/** Does something again and again, counting from 1, until stopped or failed. */
export function repeat(work: (round: number) => Promise<unknown>): Repetition {
  const stopping = new AbortController()
  const working = (async () => {
    let round = 0
    while (!stopping.signal.aborted) await work(++round)
    return round
  })()
  const stop = () => {
    stopping.abort()
    return working
  }
  // A failure is heard where it is stopped.
  working.catch(() => {})
  return {
    stop,
    async [Symbol.asyncDispose]() {
      await stop().catch(() => undefined)
    },
  }
}
