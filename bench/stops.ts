import type { Bench } from './bench.ts'

/** Stop functions, which run in reverse order when it is disposed. */
export interface Stops extends AsyncDisposable {
  readonly onStop: Bench['onStop']
}

/** Collects the stop functions of what a part starts, for a part that stops it before the run ends. */
export function createStops(): Stops {
  const stops: (() => Promise<unknown>)[] = []
  return {
    onStop: (stop) => void stops.push(stop),
    async [Symbol.asyncDispose]() {
      for (const stop of stops.toReversed()) await stop()
    },
  }
}
