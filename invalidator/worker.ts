import type { Logger } from 'winston'
import { type Cursor, PING_EVERY_MS, type WorkerSession } from '../db/event-log/index.ts'
import { type InvalidationStores, isLookup, type ResourceRules } from '../shared/cache/index.ts'
import { createApplier } from './apply.ts'
import { createBucketHealth } from './bucket-health.ts'
import { createResourceCheck } from './check-resources.ts'
import type { ChangeFeed } from './console/change-feed.ts'
import { createChangeRecorder } from './console/change-recorder.ts'
import { every } from './every.ts'
import { createWindowMapper, type Invalidations } from './map-window.ts'
import type { InvalidatorMetrics } from './metrics.ts'
import { createPasses } from './pass.ts'
import { createWatermarkReader } from './read-watermarks.ts'
import { createWindowReader } from './read-window.ts'
import { createRecorder } from './record.ts'
import { createRedisTimes } from './redis-times.ts'
import { createResourceStates, marksOf } from './resource-states.ts'
import { createWindowTransaction } from './window-transaction.ts'
import { createTranslation } from './translation.ts'

export interface WorkerDeps {
  readonly session: Pick<WorkerSession, 'client' | 'backend' | 'lost' | 'ping'>
  readonly stores: InvalidationStores
  readonly catalog: readonly ResourceRules[]
  readonly prefix: string
  readonly metrics: InvalidatorMetrics
  readonly logger: Logger
  /** Interval of inspections, in ms: they detect changes to the installation that fire no trigger. */
  readonly inspectEveryMs?: number
  /**
   * Shortest interval at which the watermarks of all buckets of a cluster are stored, by default 250 ms.
   * In between, a window is stored only where it changes something. Readers poll as often.
   */
  readonly publishEverywhereEveryMs?: number
  /** Texts of the watermarks that this process wrote last, by `stateId`. They outlive a broken session. */
  readonly written?: Map<string, string>
  /** Called when work beside the windows has ended: a window must then be read even without events. */
  readonly onPassEnd?: () => void
  /** Receives the applied changes. */
  readonly feed?: ChangeFeed | undefined
}

/** Applies windows to the resources that it owns. */
export interface Worker {
  /** Adds resources. Each continues from its stored watermark. */
  acquire(resources: readonly ResourceRules[]): void
  /** Removes resources, and aborts their passes. */
  release(resources: readonly ResourceRules[]): void
  /**
   * Reads one window, deletes stale entries and advances the watermarks. Returns the number of
   * events.
   */
  applyWindow(): Promise<number>
  /** Whether a watermark was not as expected, so that its resource's window must start again. */
  readonly mustRepeat: boolean
  /** Discards everything known of Redis: stored watermarks are read again. */
  rereadWatermarks(): void
  /** Waits for the running passes. */
  waitForPasses(): Promise<void>
  readonly cursors: readonly Cursor[]
}

/** Shortest interval at which polling advances the watermark while there are no events. */
const PUBLISH_EVERY_MS = 50
const PUBLISH_EVERYWHERE_EVERY_MS = 250
/** While no watched table changes, only freshness advances, and storing it everywhere is most of the work. */
const IDLE_FACTOR = 3

/**
 * Applies one sequence of snapshots. Invariant: if a stored watermark contains snapshot S, every commit
 * visible in S has been applied to the entries of that resource. The window was read since the stored
 * snapshot and mapped in S itself, and the script that stored S deleted its keys. A crash at any point
 * repeats invalidations, which is harmless.
 *
 * An advance that takes many scripts is a pass beside the windows. A pass may end at any time. Its
 * result is taken over between windows only, so the set of resources in a window is constant.
 */
export function createWorker(deps: WorkerDeps): Worker {
  const { session, stores, metrics, logger, inspectEveryMs } = deps
  const { written = new Map(), publishEverywhereEveryMs = PUBLISH_EVERYWHERE_EVERY_MS } = deps
  const pingDue = every(PING_EVERY_MS)
  const pause = async () => {
    if (pingDue()) await session.ping()
  }
  const onEnd = () => deps.onPassEnd?.()

  const states = createResourceStates({ metrics, written, buckets: stores.count })
  const health = createBucketHealth({ stores, logger })
  const times = createRedisTimes(stores)
  const translation = createTranslation({ ...deps, pause })
  const passes = createPasses({ stores, lost: session.lost, logger, onEnd })

  const inTransaction = createWindowTransaction({
    session,
    logger,
    prepare: translation.beginWindow,
    findLookupResources: () =>
      states
        .active()
        .filter(({ resource }) => resource.staleWhen.some(isLookup))
        .map(({ resource }) => resource.name),
  })
  const watermarkReader = createWatermarkReader({
    stores,
    health,
    states,
    times,
    metrics,
    logger,
    onRead: onEnd,
  })
  const readWindow = createWindowReader({ session, learnRules: translation.learn, inspectEveryMs })
  const checkResources = createResourceCheck({ states, logger })
  const changes =
    deps.feed && createChangeRecorder({ feed: deps.feed, translation, prefix: deps.prefix })
  const mapWindow = createWindowMapper({ translation, changes })
  const apply = createApplier({ stores, health, passes, states, pause })
  const recorder = createRecorder({
    states,
    times,
    isOneClock: stores.count === 1,
    metrics,
    logger,
    tableOf: translation.tableOf,
  })
  let publishedAtMs = 0
  let publishedEverywhereAtMs = -Infinity
  let hasChangedSince = false

  async function applyWindow(): Promise<number> {
    if (states.isEmpty) return 0
    recorder.recordPasses()
    await watermarkReader.read()
    if (health.failing === stores.count && states.active().length === 0) throw health.lastError
    // Freshness is the clock's time before the snapshot is taken. Progress is the snapshot itself.
    const asOfMs = await times.read()
    const { found, ended } = await inTransaction(async (attempt) => {
      const reading = await readWindow(attempt.isUnread ? [] : marksOf(states.active()))
      checkResources(reading)
      return mapWindow(reading, states.active(), attempt)
    })
    const count = found.windows.reduce((sum, { window }) => sum + window.count, 0)

    const nowMs = performance.now()
    const sinceMs = nowMs - publishedEverywhereAtMs
    hasChangedSince ||= count > 0
    const everyMs = (hasChangedSince ? 1 : IDLE_FACTOR) * publishEverywhereEveryMs
    const everywhere = stores.count === 1 || sinceMs >= everyMs
    const isDue = nowMs - publishedAtMs >= PUBLISH_EVERY_MS && everywhere
    if (count === 0 && !isDue && !mustPublish(found)) {
      await ended
      return 0
    }
    const applied = await apply(found, { asOfMs, everywhere, ended })
    publishedAtMs = nowMs
    if (everywhere) {
      publishedEverywhereAtMs = nowMs
      hasChangedSince = false
    }
    recorder.recordWindow(applied, found, nowMs)
    changes?.publish(found, applied)
    return count
  }

  /** Whether watermarks must advance at once although there are no events. */
  const mustPublish = ({ flush }: Invalidations) =>
    flush.size > 0 ||
    states
      .active()
      .some(({ mark, triggerHealth }) => mark?.keyVersion !== triggerHealth?.keyVersion)

  return {
    applyWindow,
    acquire: states.acquire,
    release: states.release,
    get mustRepeat() {
      return states
        .all()
        .some(
          ({ stored, foreignReason, pass, bucket }) =>
            stored === undefined &&
            foreignReason === null &&
            pass === null &&
            health.isDue(bucket) &&
            !watermarkReader.isReading(bucket),
        )
    },
    rereadWatermarks() {
      for (const state of states.all()) states.discardWatermark(state)
      // Another Redis may have another clock.
      times.discard()
    },
    async waitForPasses() {
      await Promise.all(states.all().flatMap(({ pass }) => pass?.ended ?? []))
      recorder.recordPasses()
    },
    get cursors() {
      return states.cursors
    },
  }
}
