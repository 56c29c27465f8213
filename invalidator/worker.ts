import type { Logger } from 'winston'
import {
  beginReading,
  createInspection,
  type Cursor,
  errorCode,
  includes,
  type Installation,
  isRetained,
  NotOneSession,
  PING_EVERY_MS,
  readHead,
  type ReadSnapshot,
  readWindow,
  TablesRewritten,
  type Window,
  type WorkerSession,
} from '../db/event-log/index.ts'
import {
  type Advance,
  type AdvanceReport,
  DISABLED,
  type InvalidationStore,
  isLookup,
  isUnreadable,
  type ResourceRules,
  takesLong,
  type Watermark,
} from '../shared/cache/index.ts'
import { every } from './every.ts'
import type { FlushReason, Lookup } from './mapping.ts'
import type { InvalidatorMetrics } from './metrics.ts'
import { checkTriggers } from './trigger-health.ts'
import { createOwedFlushes, type OwedFlushes } from './owed-flushes.ts'
import { createPasses, type Pass } from './pass.ts'
import {
  causesOf,
  createResourceStates,
  groupByWatermark,
  type ResourceState,
} from './resource-states.ts'
import { createForeignWatermarkCheck } from './foreign-watermarks.ts'
import { createTranslation, LookupFailed } from './translation.ts'

export interface WorkerDeps {
  readonly session: Pick<WorkerSession, 'client' | 'backend' | 'lost' | 'ping'>
  readonly invalidationStore: InvalidationStore
  readonly catalog: readonly ResourceRules[]
  readonly prefix: string
  readonly metrics: InvalidatorMetrics
  readonly logger: Logger
  /** Interval of inspections, in ms: they detect changes to the installation that fire no trigger. */
  readonly inspectEveryMs?: number
  /** Texts of the watermarks that this process wrote last, by resource. They outlive a broken session. */
  readonly written?: Map<string, string>
  /** Outlives a broken session too. */
  readonly owedFlushes?: OwedFlushes
  /** Called when a pass has ended, because a window must then be read even without events. */
  readonly onPassEnd?: () => void
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
/** Longest reuse of a Redis time. It makes a watermark appear less fresh by as much. */
const REDIS_TIME_TTL_MS = 20
const INSPECT_EVERY_MS = 2_000

/** Reasons why a window is read again. */
interface Retry {
  readonly isRewritten?: boolean
  readonly isUnread?: boolean
}

/** query_canceled: a statement exceeded its time limit. */
const isTooSlow = (error: unknown) => errorCode(error) === '57014'

const NOTHING_DONE: AdvanceReport = { stored: new Map(), removed: new Map(), timeMs: null }

/** Updates of Redis that one reading of the log requires. */
interface Findings {
  readonly readSnapshot: ReadSnapshot
  readonly keys: Map<string, Set<string>>
  readonly flush: Map<string, FlushReason>
  readonly windows: readonly TimedWindow[]
  /** End of the transaction. COMMIT was sent and need not be awaited at once. */
  readonly ended: Promise<unknown>
}

/** Windows whose events count as applied when these passes have ended. */
interface DeferredWindows {
  readonly passes: readonly Pass[]
  readonly windows: readonly TimedWindow[]
}

/** A window, and the clock's time at (or slightly before) the snapshot after which it begins. */
interface TimedWindow {
  readonly window: Window
  readonly sinceMs: number
}

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
  const { session, invalidationStore, metrics, logger, written = new Map() } = deps
  const { owedFlushes = createOwedFlushes(deps.catalog) } = deps
  const states = createResourceStates({ metrics, written })
  const foreignWatermarkCheck = createForeignWatermarkCheck()
  const inspect = createInspection()
  const inspectionDue = every(deps.inspectEveryMs ?? INSPECT_EVERY_MS)
  const pingDue = every(PING_EVERY_MS)
  const passes = createPasses({
    invalidationStore,
    lost: session.lost,
    logger,
    onEnd: () => deps.onPassEnd?.(),
  })
  let deferred: readonly DeferredWindows[] = []
  const pingIfDue = async () => {
    if (pingDue()) await session.ping()
  }
  const translation = createTranslation({ ...deps, pause: pingIfDue })
  let installation: Installation | undefined
  let incarnation: string | undefined
  let publishedAtMs = 0
  let lastRedisTime = { redisMs: 0, atMs: -Infinity }

  async function applyWindow(): Promise<number> {
    if (states.isEmpty) return 0
    collectPasses()
    await readStored()
    // Freshness is the clock's time before the snapshot is taken. Progress is the snapshot itself.
    const asOfMs = await redisTime()
    const findings = await readAndMap(new Set())
    const count = findings.windows.reduce((sum, { window }) => sum + window.count, 0)

    const nowMs = performance.now()
    const keyVersionChanged = states
      .active()
      .some(({ mark, triggerHealth }) => mark?.keyVersion !== triggerHealth?.keyVersion)
    const idle = count === 0 && findings.flush.size === 0 && !keyVersionChanged
    if (idle && nowMs - publishedAtMs < PUBLISH_EVERY_MS) {
      await findings.ended
      return 0
    }

    const advances = states.active().map((state) => advanceOf(state, findings, asOfMs))
    const long = advances.filter(takesLong)
    const short = advances.filter((one) => !takesLong(one))
    const applying = short.length > 0 ? invalidationStore.apply(short, pingIfDue) : NOTHING_DONE
    const [report] = await Promise.all([applying, findings.ended])
    if (report.timeMs !== null) lastRedisTime = { redisMs: report.timeMs, atMs: nowMs }
    publishedAtMs = nowMs
    recordAdvance(short, report)
    metrics.windows.inc()
    reportRemoved(short, report, findings.flush)
    const { windows } = findings
    if (long.length === 0) recordMetrics(windows, report.timeMs)
    else {
      const begun = long.map((advance) => beginPass(advance, findings.flush))
      deferred = [...deferred, { passes: begun, windows }]
    }
    return count
  }

  function beginPass(advance: Advance, reasons: ReadonlyMap<string, FlushReason>): Pass {
    const { name } = advance.resource
    const state = states.all().find(({ resource }) => resource.name === name)
    // Once damaged, the window may lack changes that were not logged: the resource stays disabled.
    let wasDamaged = false
    const isDisabled = () => (wasDamaged ||= state?.triggerHealth?.keyVersion === DISABLED)
    const pass = passes.begin({ ...advance, isDisabled }, reasons.get(name))
    states.setPass(name, pass)
    return pass
  }

  /** Takes over the watermarks of passes that have ended. Their resources continue from there. */
  function collectPasses(): void {
    for (const { resource, pass } of states.all()) {
      if (pass?.outcome === undefined) continue
      states.setPass(resource.name, null)
      if (pass.outcome === null) states.discardWatermark(resource.name)
      else {
        recordAdvance([pass.advance], pass.outcome)
        const { reason } = pass
        const reasons = new Map(reason && [[resource.name, reason]])
        reportRemoved([pass.advance], pass.outcome, reasons)
      }
    }
    deferred = deferred.filter(({ passes, windows }) => {
      const outcomes = passes.map(({ outcome }) => outcome)
      if (outcomes.includes(undefined)) return true
      // Events of a failed pass are read again, and counted then.
      const times = outcomes.map((outcome) => outcome?.timeMs ?? null)
      if (!outcomes.includes(null)) {
        recordMetrics(windows, times.includes(null) ? null : Math.max(...(times as number[])))
      }
      return false
    })
  }

  /** Returns the clock's time. In a fast sequence of windows the previous reply is recent enough. */
  const redisTime = async () =>
    performance.now() - lastRedisTime.atMs < REDIS_TIME_TTL_MS
      ? lastRedisTime.redisMs
      : invalidationStore.time()

  async function readStored(): Promise<void> {
    await Promise.all(
      states.all().map(async ({ resource: { name }, stored, pass, foreignReason }) => {
        if (pass !== null) return
        if (stored !== undefined && foreignReason === null) return
        const found = await invalidationStore.read(name)
        states.setWatermark(name, found)
        if (!isUnreadable(found)) return
        metrics.unreadable.labels('watermark').inc()
        logger.warn('unreadable watermark, flushing its resource', { resource: name })
      }),
    )
  }

  /**
   * Reads the log and maps it. A failed lookup aborts its transaction: its resource is flushed and the
   * window starts again. If a table was rewritten under lookups, the window is retried once, then the
   * resources with lookups are flushed. If the log cannot be read in time, every resource is flushed
   * without reading it.
   */
  async function readAndMap(failed: ReadonlySet<string>, retry: Retry = {}): Promise<Findings> {
    const { client, lost } = session
    await translation.beginWindow()
    try {
      const findings = await read(failed, retry.isUnread === true)
      return { ...findings, ended: client.query('commit') }
    } catch (error) {
      if (lost.aborted) throw error
      await client.query('rollback')
      if (error instanceof LookupFailed) {
        const { resources, cause } = error
        logger.error('lookups failed, flushing their resources', { resources, error: cause })
        return readAndMap(new Set([...failed, ...resources]), retry)
      }
      if (error instanceof TablesRewritten) {
        if (!retry.isRewritten) return readAndMap(failed, { ...retry, isRewritten: true })
        const resources = states
          .active()
          .filter(({ resource }) => resource.staleWhen.some(isLookup))
          .map(({ resource }) => resource.name)
        logger.error('tables were rewritten under lookups, flushing their resources', {
          resources,
          tables: error.tables,
        })
        return readAndMap(new Set([...failed, ...resources]), retry)
      }
      if (!retry.isUnread && isTooSlow(error)) {
        logger.error('reading the event log took too long, flushing every resource', { error })
        return readAndMap(failed, { ...retry, isUnread: true })
      }
      throw error
    }
  }

  async function read(
    failed: ReadonlySet<string>,
    isUnread: boolean,
  ): Promise<Omit<Findings, 'ended'>> {
    const { client } = session
    // Within one incarnation the windows are known before the reply with the snapshot arrives.
    const snapshots = groupByWatermark(states.active()).flatMap(([mark]) =>
      mark !== null && mark.incarnation === incarnation && !isUnread ? [mark.snapshot] : [],
    )
    const reading = beginReading(client)
    const heads = snapshots.map((since) => readHead(client, since))
    // If the first query fails, the queries behind it fail too. Its error is the cause.
    await Promise.allSettled([reading, ...heads])
    const readSnapshot = await reading
    // Behind a pooler in transaction mode, the locks of another backend do not protect this one.
    if (readSnapshot.backend !== session.backend) {
      throw new NotOneSession('a window was read by another backend than the one with the locks')
    }
    const windowsRead = await Promise.all(heads)
    const known = new Map(snapshots.map(({ text }, index) => [text, windowsRead[index]]))

    const keys = new Map<string, Set<string>>()
    const flush = new Map<string, FlushReason>()
    const lookups: Lookup[] = []
    const windows: TimedWindow[] = []

    // A new installation numbers its versions and tables anew.
    if (readSnapshot.database.incarnation !== incarnation) await translation.learn()
    incarnation = readSnapshot.database.incarnation
    // If a segment is missing, a window may miss events. The inspection then disables every resource.
    if (inspectionDue() || !installation || !readSnapshot.isComplete) {
      installation = await inspect(client)
    }
    for (const state of states.all()) checkOwnership(state, readSnapshot, installation)
    for (const [mark, resources] of groupByWatermark(states.active())) {
      if (mark === null || !canContinueFrom(mark, readSnapshot)) {
        for (const { name } of resources) flush.set(name, 'no cursor')
        continue
      }
      if (isUnread) {
        for (const { name } of resources) flush.set(name, 'backlog')
        continue
      }
      const window = known.get(mark.snapshot.text) ?? (await readWindow(client, mark.snapshot))
      const mapped = window.count > 0 ? await translation.map(window, resources) : null
      windows.push({ window: withoutKeys(window), sinceMs: mark.asOfMs })
      if (mapped === null) continue
      for (const [name, reason] of mapped.flush) flush.set(name, reason)
      for (const [name, found] of mapped.keys) keys.set(name, found)
      lookups.push(...mapped.lookups)
    }
    if (owedFlushes.observe(readSnapshot)) {
      logger.error('the event log was emptied by hand, flushing every resource')
    }
    for (const { resource } of states.active()) {
      if (owedFlushes.has(resource.name)) flush.set(resource.name, 'log emptied')
    }
    for (const name of failed) flush.set(name, 'lookup failed')
    for (const { resource, mark, triggerHealth } of states.active()) {
      if (!mark || !triggerHealth || triggerHealth.keyVersion === DISABLED) continue
      // While another version was enabled, or none, entries of this version were not invalidated.
      if (mark.keyVersion !== triggerHealth.keyVersion) flush.set(resource.name, 'key version')
      else if (mark.fingerprint !== triggerHealth.fingerprint)
        flush.set(resource.name, 'other triggers or rules')
    }
    await translation.follow(
      lookups.filter(({ resource }) => !flush.has(resource.name)),
      keys,
      flush,
    )
    return { readSnapshot, keys, flush, windows }
  }

  /** Checks whether this worker may replace the watermark, and whether the triggers are intact. */
  function checkOwnership(
    state: ResourceState,
    { database }: ReadSnapshot,
    installed: Installation,
  ): void {
    const { resource, mark } = state
    // A watermark that this process wrote is its own in any incarnation, if it is still stored.
    const isForeign =
      state.pass === null &&
      mark !== null &&
      mark.incarnation !== database.incarnation &&
      !states.isWritten(state)
    const foreignReason = isForeign
      ? foreignWatermarkCheck.check(resource.name, mark, database)
      : null
    if (foreignReason !== null && foreignReason !== state.foreignReason) {
      logger.error('another database invalidates in this Redis, leaving its watermark alone', {
        resource: resource.name,
        reason: foreignReason,
        origin: mark?.origin,
      })
    }
    states.setForeignReason(resource.name, foreignReason)

    const triggerHealth = checkTriggers(resource, installed)
    const causes = causesOf(triggerHealth)
    if (causes.join() !== causesOf(state.triggerHealth).join()) {
      const fields = { resource: resource.name, causes }
      if (triggerHealth.keyVersion === DISABLED) {
        logger.error('not cached: changes of its tables may go unlogged', fields)
      } else logger.info('cached again: all changes of its tables are logged', fields)
    }
    states.setTriggerHealth(resource.name, triggerHealth)
  }

  function recordAdvance(advances: readonly Advance[], { stored }: AdvanceReport): void {
    for (const { resource, flush, next } of advances) {
      const text = stored.get(resource.name)
      if (text === undefined) {
        logger.warn('another worker changed the watermark, reading it again', {
          resource: resource.name,
        })
        states.discardWatermark(resource.name)
        continue
      }
      states.setWritten(resource.name, text)
      if (flush) owedFlushes.markFlushed(resource.name, next.snapshot)
    }
  }

  function reportRemoved(
    advances: readonly Advance[],
    { removed, stored }: AdvanceReport,
    reasons: ReadonlyMap<string, FlushReason>,
  ): void {
    for (const [resource, count] of removed) metrics.invalidatedKeys.labels(resource).inc(count)
    const flushed = advances
      .map(({ resource }) => resource.name)
      .filter((name) => reasons.has(name) && stored.has(name))
    for (const reason of new Set(flushed.map((name) => reasons.get(name) as FlushReason))) {
      const resources = flushed.filter((name) => reasons.get(name) === reason)
      for (const name of resources) metrics.flushes.labels(name, reason).inc()
      logger.info('flushed resources', { resources, reason })
    }
  }

  /**
   * Records events and their lag. The time of a change may be much earlier than its commit. So the lag is
   * also bounded by the previous window, in which the change was not committed yet. Both bounds are
   * inexact and rely on different clocks: the smaller one counts.
   */
  function recordMetrics(windows: readonly TimedWindow[], timeMs: number | null): void {
    const nowMs = Date.now()
    for (const { window, sinceMs } of windows) {
      const maxMs = timeMs === null ? Infinity : timeMs - sinceMs
      for (const event of window.events) {
        metrics.events.of(translation.tableOf(event), event.op).n++
        metrics.lagSeconds.observe(Math.max(0, Math.min(nowMs - event.atMs, maxMs)) / 1000)
      }
      // A coarse window has one event for each table, version and op.
      if (window.coarse) metrics.events.of('many', 'B').n += window.count - window.events.length
    }
  }

  return {
    applyWindow,
    acquire: states.acquire,
    release: states.release,
    get mustRepeat() {
      return states.mustRepeat
    },
    rereadWatermarks() {
      for (const { resource } of states.all()) states.discardWatermark(resource.name)
      // Another Redis may have another clock.
      lastRedisTime = { redisMs: 0, atMs: -Infinity }
    },
    async waitForPasses() {
      await Promise.all(states.all().flatMap(({ pass }) => pass?.ended ?? []))
      collectPasses()
    },
    get cursors() {
      return states.cursors
    },
  }
}

/**
 * Returns whether a window since a watermark includes every later change. A watermark that includes more
 * than the present snapshot belongs to another incarnation of the database.
 */
const canContinueFrom = (mark: Watermark, readSnapshot: ReadSnapshot): boolean =>
  mark.incarnation === readSnapshot.database.incarnation &&
  includes(readSnapshot.snapshot, mark.snapshot) &&
  isRetained(mark.snapshot, readSnapshot)

/** Drops the keys of a mapped window, so that only one of several large windows holds its keys. */
const withoutKeys = (window: Window): Window => ({
  ...window,
  events: window.events.map((event) => ({ ...event, keys: null })),
})

/** Returns the update of one resource in Redis. */
function advanceOf(
  state: ResourceState,
  { readSnapshot, keys, flush }: Findings,
  asOfMs: number,
): Advance {
  const { resource, stored, triggerHealth } = state
  return {
    resource,
    expected: stored ?? null,
    keys: keys.get(resource.name) ?? new Set(),
    flush: flush.has(resource.name),
    next: {
      ...readSnapshot.database,
      snapshot: readSnapshot.snapshot,
      asOfMs,
      part: 0,
      keyVersion: triggerHealth?.keyVersion ?? DISABLED,
      fingerprint: triggerHealth?.fingerprint ?? '',
    },
  }
}
