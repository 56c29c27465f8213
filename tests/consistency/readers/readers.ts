import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../random.ts'
import { ENTRIES } from '../world/entries.ts'
import type { Client } from './client.ts'
import type { Read, Token } from './read.ts'

const READERS = 6
const PAUSE_MS = 6

/** What readers have been answered. */
export interface Seen {
  readonly reads: Read[]
  readonly failures: {
    readonly failure: string
    readonly startMs: number
    readonly endMs: number
  }[]
}

export interface Running {
  /** Ends when whatever is under way has come to its end. */
  stop(): Promise<void>
}

/** Reads everything all the time, from every process, some with tokens and some with a copy. */
export function startReaders(
  client: Client,
  random: Random,
  seen: Seen,
  lastToken: () => Token | undefined,
): Running {
  const stopping = new AbortController()
  const run = async (random: Random) => {
    while (!stopping.signal.aborted) {
      // Some entries are asked for much more often than the others.
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
