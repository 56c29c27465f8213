import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { until } from '../support/until.ts'
import { hasSeen, isPast, type Mark, readMark } from './oracle/snapshot.ts'

const EVERY_MS = 10

/** What was seen published, and from when. */
interface Sighting {
  readonly atMs: number
  readonly mark: Mark | null
}

/** Looks at the published watermarks all the time, and remembers from when each covered what. */
export interface Observer extends AsyncDisposable {
  /** Whether it was known at some moment that a commit of some life had been applied. */
  hadSeen(resource: string, incarnation: string, xid: bigint, atMs: number): boolean
  /** All watermarks as they stand now. @throws when Redis does not say. */
  look(): Promise<ReadonlyMap<string, Mark | null>>
  /** Resolves when a look that began after this has ended well. */
  next(): Promise<void>
  /** Forgets what is too old to matter. */
  prune(beforeMs: number): void
}

/** Opens one on a connection of its own, which leads where those of the API lead. */
export function openObserver(redisUrl: string, watermarkKey: string): Observer {
  const redis = new Redis(redisUrl, {
    commandTimeout: 1_000,
    // Through a connection that is only half there nothing is ever heard again.
    socketTimeout: 2_000,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => 50,
  })
  redis.on('error', () => {})
  // The next connection may lead to a Redis that knows less.
  redis.on('close', () => note(new Map(), performance.now()))
  const sightings = new Map<string, Sighting[]>()
  const stopping = new AbortController()
  let lastSentMs = -Infinity

  function note(marks: ReadonlyMap<string, Mark | null>, atMs: number): void {
    for (const resource of new Set([...marks.keys(), ...sightings.keys()])) {
      const mark = marks.get(resource) ?? null
      const seen = sightings.get(resource) ?? []
      sightings.set(resource, seen)
      const last = seen.at(-1)?.mark ?? null
      if (last?.seen.text !== mark?.seen.text || last?.incarnation !== mark?.incarnation)
        seen.push({ atMs, mark })
    }
  }

  async function look(): Promise<ReadonlyMap<string, Mark | null>> {
    const stored = await redis.hgetall(watermarkKey)
    return new Map(Object.entries(stored).map(([name, text]) => [name, readMark(text)]))
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const sentMs = performance.now()
      const marks = await look().catch(() => null)
      note(marks ?? new Map(), performance.now())
      if (marks) lastSentMs = sentMs
      await sleep(EVERY_MS)
    }
  }
  const running = run()

  return {
    look,
    hadSeen(resource, incarnation, xid, atMs) {
      const seen = sightings.get(resource) ?? []
      const mark = seen.findLast((sighting) => sighting.atMs <= atMs)?.mark
      return mark != null && mark.incarnation === incarnation && hasSeen(mark.seen, xid)
    },
    async next() {
      const askedMs = performance.now()
      await until(() => lastSentMs >= askedMs)
    },
    prune(beforeMs) {
      for (const [resource, seen] of sightings) {
        const from = seen.findLastIndex(({ atMs }) => atMs < beforeMs)
        if (from > 0) sightings.set(resource, seen.slice(from))
      }
    },
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await running
      redis.disconnect()
    },
  }
}

/** Whether watermarks say of every resource that it was brought up to a snapshot of this life. */
export const cover = (
  marks: ReadonlyMap<string, Mark | null>,
  resources: readonly string[],
  now: { readonly incarnation: string; readonly seen: Mark['seen'] },
): boolean =>
  resources.every((resource) => {
    const mark = marks.get(resource)
    return (
      mark != null &&
      mark.incarnation === now.incarnation &&
      mark.keyVersion > 0 &&
      isPast(mark.seen, now.seen)
    )
  })
