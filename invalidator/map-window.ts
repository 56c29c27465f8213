import { includes, isRetained, type ReadSnapshot, type Window } from '../db/event-log/index.ts'
import { DISABLED, type ResourceRules, type Watermark } from '../shared/cache/index.ts'
import type { FlushReason, Lookup, Mapped } from './mapping.ts'
import type { WindowReading } from './read-window.ts'
import { groupByWatermark, type ResourceState } from './resource-states.ts'
import type { Attempt } from './window-transaction.ts'
import type { Translation } from './translation.ts'

/** Updates of Redis that one reading of the log requires. */
export interface Invalidations {
  readonly readSnapshot: ReadSnapshot
  /** Entry keys by resource name. */
  readonly keys: ReadonlyMap<string, ReadonlySet<string>>
  /** States whose resource is flushed in their bucket, with the reason. */
  readonly flush: ReadonlyMap<ResourceState, FlushReason>
  readonly windows: readonly TimedWindow[]
}

/** A window, and the clock's time at (or slightly before) the snapshot after which it begins. */
export interface TimedWindow {
  readonly window: Window
  readonly sinceMs: number
}

/** Receives the changes of windows while their keys are in memory. */
export interface ChangeCollector {
  /** Begins a reading of the log. Discards what an attempt that failed has collected. */
  begin(): void
  /** Collects the changes of a mapped window, before its keys are dropped. */
  collect(window: Window, mapped: Mapped, resources: readonly ResourceRules[]): Promise<void>
}

export interface WindowMapperDeps {
  readonly translation: Translation
  readonly changes?: ChangeCollector | undefined
}

type MapWindow = (
  reading: WindowReading,
  active: readonly ResourceState[],
  attempt: Attempt,
) => Promise<Invalidations>

/**
 * Returns a function that maps a window, in its snapshot, to the entries and resources that it makes
 * stale.
 */
export function createWindowMapper({ translation, changes }: WindowMapperDeps): MapWindow {
  /** Maps the events of each group of resources. Flushes the groups without a window. */
  async function mapEvents(
    reading: WindowReading,
    active: readonly ResourceState[],
    isUnread: boolean,
  ) {
    const keys = new Map<string, Set<string>>()
    const flush = new Map<ResourceState, FlushReason>()
    const lookups: Lookup[] = []
    const windows: TimedWindow[] = []
    for (const { mark, resources, states } of groupByWatermark(active)) {
      const flushAll = (reason: FlushReason) => states.forEach((state) => flush.set(state, reason))
      if (mark === null || !canContinueFrom(mark, reading.readSnapshot)) {
        flushAll('no watermark')
        continue
      }
      if (isUnread) {
        flushAll('backlog')
        continue
      }
      const window = await reading.since(mark.snapshot)
      const mapped = window.count > 0 ? await translation.map(window, resources) : null
      windows.push({ window: withoutKeys(window), sinceMs: mark.asOfMs })
      if (mapped === null) continue
      await changes?.collect(window, mapped, resources)
      if (mapped.flush.size > 0) {
        for (const state of states) {
          const reason = mapped.flush.get(state.resource.name)
          if (reason !== undefined) flush.set(state, reason)
        }
      }
      // Groups may share a resource. A key that only one of them requires is deleted in vain.
      for (const [name, found] of mapped.keys) {
        const known = keys.get(name)
        if (known === undefined) keys.set(name, found)
        else for (const key of found) known.add(key)
      }
      lookups.push(...mapped.lookups)
    }
    return { keys, flush, lookups, windows }
  }

  return async (reading, active, { failed, isUnread }) => {
    const { readSnapshot } = reading
    changes?.begin()
    const { keys, flush, lookups, windows } = await mapEvents(reading, active, isUnread)
    for (const state of active) {
      const reason = failed.has(state.resource.name) ? 'lookup failed' : reasonOfChange(state)
      if (reason !== null) flush.set(state, reason)
    }
    const wanted = flush.size === 0 ? lookups : lookups.filter(isKept(active, flush))
    const flushedByLookup = new Map<string, FlushReason>()
    if (wanted.length > 0) await translation.follow(wanted, keys, flushedByLookup)
    if (flushedByLookup.size > 0) {
      for (const state of active) {
        const reason = flushedByLookup.get(state.resource.name)
        if (reason !== undefined) flush.set(state, reason)
      }
    }
    return { readSnapshot, keys, flush, windows }
  }
}

/** Returns a function that returns whether a resource is not flushed in every bucket. */
function isKept(
  active: readonly ResourceState[],
  flush: ReadonlyMap<ResourceState, FlushReason>,
): (lookup: Lookup) => boolean {
  const kept = new Set(active.flatMap((state) => (flush.has(state) ? [] : state.resource)))
  return ({ resource }) => kept.has(resource)
}

/** Returns why a resource must be flushed after its watermark was stored under other conditions. */
function reasonOfChange({ mark, triggerHealth }: ResourceState): FlushReason | null {
  if (!mark || !triggerHealth || triggerHealth.keyVersion === DISABLED) return null
  // While another version was enabled, or none, entries of this version were not invalidated.
  if (mark.keyVersion !== triggerHealth.keyVersion) return 'key version'
  return mark.fingerprint === triggerHealth.fingerprint ? null : 'other triggers or rules'
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
