import { setTimeout as sleep } from 'node:timers/promises'
import { LOAD_PAUSE_MS } from './long.ts'

/** Work that repeats until it is stopped. */
export interface Repetition extends AsyncDisposable {
  /** Waits for the current round. Returns the number of rounds. Rejects if a round failed. */
  stop(): Promise<number>
}

/** Repeats work until it is stopped or fails. Rounds are counted from 1. */
export function repeat(
  work: (round: number) => Promise<unknown>,
  pauseMs = LOAD_PAUSE_MS,
): Repetition {
  const stopping = new AbortController()
  const working = (async () => {
    let round = 0
    while (!stopping.signal.aborted) {
      await work(++round)
      await sleep(pauseMs)
    }
    return round
  })()
  const stop = () => {
    stopping.abort()
    return working
  }
  // `stop()` reports a failure.
  working.catch(() => {})
  return {
    stop,
    async [Symbol.asyncDispose]() {
      await stop().catch(() => undefined)
    },
  }
}
