import type { Logger } from 'winston'
import { type InvalidationStores, isUnreadable } from '../shared/cache/index.ts'
import type { BucketHealth } from './bucket-health.ts'
import type { InvalidatorMetrics } from './metrics.ts'
import { waitPatiently } from './patience.ts'
import type { RedisTimes } from './redis-times.ts'
import type { ResourceState, ResourceStates } from './resource-states.ts'

export interface WatermarkReaderDeps {
  readonly stores: InvalidationStores
  readonly health: BucketHealth
  readonly states: ResourceStates
  readonly times: RedisTimes
  readonly metrics: Pick<InvalidatorMetrics, 'unreadable'>
  readonly logger: Logger
  /** Called when watermarks that were not awaited have arrived. */
  readonly onRead: () => void
}

/** The reading of the watermarks of a bucket. */
interface BucketReading {
  readonly states: readonly ResourceState[]
  done: boolean
  /** Stored texts, and the bucket's time before they were read; `null` if they could not be read. */
  found: { readonly texts: readonly (string | null)[]; readonly timeMs: number } | null
  readonly ended: Promise<void>
}

export interface WatermarkReader {
  read(): Promise<void>
  /** Whether the watermarks of a bucket are being read. Their arrival causes a window. */
  isReading(bucket: number): boolean
}

/**
 * Creates a reader of the stored watermarks that are not known, and of the foreign ones, which may have
 * stopped. A bucket of a cluster that does not answer delays no other: its watermarks are taken over
 * before a later window.
 */
export function createWatermarkReader(deps: WatermarkReaderDeps): WatermarkReader {
  const { stores, health, states, times, metrics, logger, onRead } = deps
  const readings = new Map<number, BucketReading>()

  function record(state: ResourceState, text: string | null): void {
    states.setWatermark(state, text)
    if (!isUnreadable(text)) return
    metrics.unreadable.labels('watermark').inc()
    logger.warn('unreadable watermark, flushing its resource', { resource: state.resource.name })
  }

  function findUnread(): ReadonlyMap<number, readonly ResourceState[]> {
    const unread = new Map<number, ResourceState[]>()
    for (const state of states.all()) {
      const { bucket, pass, stored, foreignReason } = state
      if (pass !== null || (stored !== undefined && foreignReason === null)) continue
      const ofBucket = unread.get(bucket)
      if (ofBucket === undefined) unread.set(bucket, [state])
      else ofBucket.push(state)
    }
    return unread
  }

  async function readBucket(bucket: number, unread: readonly ResourceState[]) {
    const store = stores.at(bucket)
    const [timeMs, ...texts] = await Promise.all([
      store.time(),
      ...unread.map(({ resource }) => store.read(resource.name)),
    ])
    return { timeMs, texts }
  }

  function begin(bucket: number, unread: readonly ResourceState[]): Promise<void> {
    const reading: BucketReading = {
      states: unread,
      done: false,
      found: null,
      ended: readBucket(bucket, unread)
        .then((found) => {
          reading.found = found
          health.succeed(bucket)
        })
        .catch((error: unknown) => health.fail(bucket, error))
        .finally(() => {
          reading.done = true
          onRead()
        }),
    }
    readings.set(bucket, reading)
    return reading.ended
  }

  function takeOver(): void {
    if (readings.size === 0) return
    const owned = new Set(states.all())
    for (const [bucket, { states: unread, done, found }] of readings) {
      if (!done) continue
      readings.delete(bucket)
      if (found === null) continue
      times.set(bucket, found.timeMs)
      for (const [at, state] of unread.entries()) {
        if (owned.has(state) && state.pass === null) record(state, found.texts[at] ?? null)
      }
    }
  }

  async function read(): Promise<void> {
    takeOver()
    const unread = findUnread()
    if (unread.size === 0) return
    if (stores.count === 1) {
      const wanted = unread.get(0) ?? []
      const store = stores.at(0)
      await Promise.all(
        wanted.map(async (state) => record(state, await store.read(state.resource.name))),
      )
      return
    }
    // Waits for these only: a server that has not answered the last time may not do so for long.
    const begun: Promise<void>[] = []
    for (const [bucket, wanted] of unread) {
      if (!readings.has(bucket) && health.isDue(bucket)) begun.push(begin(bucket, wanted))
    }
    await waitPatiently(begun)
    takeOver()
  }

  return { read, isReading: (bucket) => readings.get(bucket)?.done === false }
}
