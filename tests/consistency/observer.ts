import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../support/until.ts'
import { hasSeen, isPast, type Mark } from './oracle/snapshot.ts'
import type { Watermarks } from './watermarks.ts'

/** A published watermark, and when the observer first read it. */
interface Sighting {
  readonly atMs: number
  readonly mark: Mark | null
}

/** Polls the published watermarks, and records from when each included which transactions. */
export interface Observer extends AsyncDisposable {
  /** Whether the watermark at `atMs` included a transaction of an incarnation. */
  hadSeen(resource: string, incarnation: string, xid: bigint, atMs: number): boolean
  /**
   * Reads all watermarks.
   * @throws if Redis does not answer.
   */
  look(): Promise<ReadonlyMap<string, Mark | null>>
  /** Resolves after a successful poll that began after this call. */
  next(): Promise<void>
  /** Discards sightings that ended before this time. */
  prune(beforeMs: number): void
}

/** Opens an observer, which reads the watermarks with connections of its own. */
export function openObserver(watermarks: Watermarks): Observer {
  // The next connection may reach a Redis with older data.
  watermarks.onLost(() => note(new Map(), performance.now()))
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
    return watermarks.read()
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const sentMs = performance.now()
      const marks = await look().catch(() => null)
      note(marks ?? new Map(), performance.now())
      if (marks) lastSentMs = sentMs
      await sleep(watermarks.everyMs)
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
      await watermarks[Symbol.asyncDispose]()
    },
  }
}

/** Whether the watermarks of all resources include a snapshot of the given incarnation. */
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
