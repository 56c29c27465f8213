import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../random.ts'
import { ENTRIES } from '../world/entries.ts'
import type { Client } from './client.ts'
import type { Read, Token } from './read.ts'

const READERS = 6
const PAUSE_MS = 6

/** Answers and failures that readers received. */
export interface Seen {
  readonly reads: Read[]
  readonly failures: {
    readonly failure: string
    readonly startMs: number
    readonly endMs: number
  }[]
}

export interface Running {
  /** Stops, and resolves when the current work has ended. */
  stop(): Promise<void>
}

/** Continuously reads all entries from all processes. Some requests have a token or `If-None-Match`. */
export function startReaders(
  client: Client,
  random: Random,
  seen: Seen,
  lastToken: () => Token | undefined,
): Running {
  const stopping = new AbortController()
  const run = async (random: Random) => {
    while (!stopping.signal.aborted) {
      // Entries at the beginning of the list are requested more often.
      const entry = ENTRIES[Math.floor(ENTRIES.length * random.next() ** 1.5)]
      if (entry === undefined) continue
      const outcome = await client.get(entry, {
        api: random.between(0, client.apis - 1),
        isConditional: random.chance(0.25),
        token: random.chance(0.15) ? lastToken() : undefined,
      })
      if ('read' in outcome) seen.reads.push(outcome.read)
      else seen.failures.push(outcome)
      await sleep(random.between(0, PAUSE_MS))
    }
  }
  const running = Array.from({ length: READERS }, (_, n) => run(random.branch(`reader ${n}`)))
  return {
    async stop() {
      stopping.abort()
      await Promise.all(running)
    },
  }
}
