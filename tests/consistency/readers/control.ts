import { setTimeout as sleep } from 'node:timers/promises'
import { ENTRIES } from '../world/entries.ts'
import type { Client } from './client.ts'

const EVERY_MS = 100

export interface Control {
  /** How long the slowest answer took. */
  stop(): Promise<number>
}

/** Reads from an API without a cache, which tells what the machine makes of any request just now. */
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
