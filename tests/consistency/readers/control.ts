import { setTimeout as sleep } from 'node:timers/promises'
import { ENTRIES } from '../world/entries.ts'
import type { Client } from './client.ts'

const EVERY_MS = 100

export interface Control {
  /** Returns the time of the slowest answer, in ms. */
  stop(): Promise<number>
}

/** Reads from an API without a cache, to measure how slow requests are on this machine meanwhile. */
export function startControl(fresh: Client): Control {
  const stopping = new AbortController()
  let slowestMs = 0
  const run = async () => {
    for (let n = 0; !stopping.signal.aborted; n++) {
      const entry = ENTRIES[n % ENTRIES.length]
      const startMs = performance.now()
      if (entry) await fresh.get(entry)
      slowestMs = Math.max(slowestMs, performance.now() - startMs)
      await sleep(EVERY_MS)
    }
  }
  const running = run()
  return {
    async stop() {
      stopping.abort()
      await running
      return slowestMs
    },
  }
}
