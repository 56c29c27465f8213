import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Buckets,
  type Place,
  processKey,
  type ProcessReport,
} from '../../shared/cache/index.ts'
import type { Change } from './change.ts'
import type { Batch, ChangeFeed, NumberedChange } from './change-feed.ts'

export interface PeersDeps {
  readonly buckets: Pick<Buckets, 'home'>
  /** Id of this process in the reports. */
  readonly id: string
  readonly feed: ChangeFeed
  readonly reports: () => readonly ProcessReport[]
  /** Receives the changes that other processes applied. */
  readonly receive: (batch: Batch) => void
  /** Whether a client watches the changes of all processes here. */
  readonly isWatched: () => boolean
}

const EVERY_MS = 250
const EXPIRES_MS = 4_000
const MAX_CHANGES = 200

interface Published {
  /** Number of the last change. */
  readonly seq: number
  readonly skipped: number
  readonly changes: readonly { readonly seq: number; readonly change: Change }[]
}

interface Publishing {
  outbox: NumberedChange[]
  skipped: number
  /** Number of the last change that was published. */
  published: number
  stop: () => void
}

const watchedKey = (prefix: string) => processKey(prefix, 'watched')
const changesKey = (prefix: string, process: string) => `${processKey(prefix, process)}/changes`

/**
 * Exchanges changes between invalidators through Redis, since each one applies those of the resources that
 * it owns. A process publishes only while a key shows that another one is watched. It uses commands that every
 * user of the cache is permitted.
 */
export async function runPeers(deps: PeersDeps, stopping: AbortSignal): Promise<void> {
  const { buckets, id, feed, reports, receive, isWatched } = deps
  /** Last change that was received from each process. */
  const seen = new Map<string, number>()
  let publishing: Publishing | undefined

  const others = () => reports().filter((one) => one.id !== id && one.lag !== null)

  async function collect({ redis, prefix }: Place): Promise<void> {
    await redis.set(watchedKey(prefix), id, 'PX', EXPIRES_MS)
    for (const { id: other } of others()) {
      const text = await redis.get(changesKey(prefix, other))
      if (text === null) continue
      const { seq, skipped, changes } = JSON.parse(text) as Published
      const last = seen.get(other)
      seen.set(other, seq)
      if (last === undefined || seq <= last) continue
      const fresh = changes.filter((one) => one.seq > last)
      const missed = seq - last - fresh.length
      receive({
        changes: fresh.map(({ seq, change }) => ({ seq, change, json: JSON.stringify(change) })),
        skipped: missed + skipped,
      })
    }
  }

  async function publish({ redis, prefix }: Place): Promise<void> {
    const isWanted = others().length > 0 && (await redis.get(watchedKey(prefix))) !== null
    if (!isWanted) {
      publishing?.stop()
      publishing = undefined
      return
    }
    publishing ??= begin()
    const { outbox, skipped, published: last } = publishing
    const seq = outbox.at(-1)?.seq ?? 0
    if (seq === last) return
    publishing.published = seq
    publishing.skipped = 0
    publishing.outbox = outbox.slice(-MAX_CHANGES)
    const published: Published = {
      seq,
      skipped,
      changes: publishing.outbox.map(({ seq, change }) => ({ seq, change })),
    }
    await redis.set(changesKey(prefix, id), JSON.stringify(published), 'PX', EXPIRES_MS)
  }

  function begin() {
    const started: Publishing = {
      outbox: [...feed.recent()],
      skipped: 0,
      published: 0,
      stop: () => {},
    }
    started.stop = feed.subscribe(({ changes, skipped }) => {
      started.outbox.push(...changes)
      started.skipped += skipped
    })
    return started
  }

  while (!stopping.aborted) {
    const home = buckets.home()
    if (home !== null && others().length > 0) {
      await publish(home).catch(() => undefined)
      if (isWatched()) await collect(home).catch(() => undefined)
    }
    await sleep(EVERY_MS, undefined, { signal: stopping, ref: false }).catch(() => undefined)
  }
  publishing?.stop()
}
