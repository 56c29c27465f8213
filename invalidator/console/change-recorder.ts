import type { Event } from '../../db/event-log/index.ts'
import { bareKey, TokenBucket } from '../../shared/cache/index.ts'
import type { Applied } from '../apply.ts'
import type { ChangeCollector, Invalidations } from '../map-window.ts'
import type { FlushReason, Mapped } from '../mapping.ts'
import type { Translation } from '../translation.ts'
import { type Change, type ChangedEntry, changedColumns, OPERATIONS } from './change.ts'
import type { ChangeFeed } from './change-feed.ts'

/** Records which entries each change of a window made stale. */
export interface ChangeRecorder extends ChangeCollector {
  /** Publishes the changes after they were applied. */
  publish(found: Invalidations, applied: Applied): void
}

export interface ChangeRecorderDeps {
  readonly feed: ChangeFeed
  readonly translation: Pick<Translation, 'map' | 'tableOf' | 'rules'>
  readonly prefix: string
}

/** Changes per second that are recorded one by one; further ones are counted. */
const PER_S = 200
const BURST = 400
const SHOWN_ENTRIES = 20

interface Pending {
  readonly event: Event
  readonly mapped: Mapped
  /** Number of events of its window. */
  readonly of: number
}

/**
 * Records a bounded number of changes per second, so that its cost under load does not depend on the load. Entries
 * that a lookup found belong to all changes of the window that have this lookup.
 */
export function createChangeRecorder({
  feed,
  translation,
  prefix,
}: ChangeRecorderDeps): ChangeRecorder {
  const budget = new TokenBucket(PER_S, BURST)
  let pending: Pending[] = []
  let skipped = 0

  /** Returns why resources were flushed because of a change, also by the failure of its lookups. */
  function flushesOf({ mapped }: Pending, flushed: ReadonlyMap<string, FlushReason>) {
    const resources = [
      ...mapped.flush.keys(),
      ...mapped.lookups.map(({ resource }) => resource.name),
    ]
    return [...new Set(resources)].flatMap((resource) => {
      const reason = mapped.flush.get(resource) ?? flushed.get(resource)
      return reason === undefined ? [] : [{ resource, reason: wordsOf(reason) }]
    })
  }

  function changeOf(
    one: Pending,
    found: Invalidations,
    flushedInWindow: ReadonlyMap<string, FlushReason>,
    applied: Applied,
  ): Change {
    const { event, mapped } = one
    const lookedUp = new Set(mapped.lookups.map(({ resource }) => resource.name))
    const entries: ChangedEntry[] = []
    let count = 0
    const add = (resource: string, keys: Iterable<string>) => {
      for (const key of keys) {
        if (count++ < SHOWN_ENTRIES) entries.push({ resource, key: bareKey(prefix, key) })
      }
    }
    for (const [resource, keys] of mapped.keys) if (!lookedUp.has(resource)) add(resource, keys)
    for (const resource of lookedUp) add(resource, found.keys.get(resource) ?? [])
    const flushed = flushesOf(one, flushedInWindow)
    const isRunning = applied.passes.some(({ advance }) =>
      flushed.some(({ resource }) => resource === advance.resource.name),
    )
    return {
      id: [event.atMs, event.version, event.tableId, event.op, event.changed].join('.'),
      atMs: event.atMs,
      operation: OPERATIONS[event.op],
      table: event.op === 'F' ? '' : translation.tableOf(event),
      columns: changedColumns(event, translation.rules),
      rows: event.op === 'F' ? null : (event.keys?.length ?? null),
      entries,
      more: count - entries.length,
      together: one.of > 1 && lookedUp.size > 0,
      flushed,
      delayMs: isRunning ? null : delayOf(event.atMs, found, applied),
    }
  }

  return {
    begin() {
      pending = []
      skipped = 0
    },
    async collect({ events, coarse, count }, mapped, resources) {
      for (const [at, event] of events.entries()) {
        if (budget.take() > 0) {
          skipped += count - at
          return
        }
        const own =
          events.length === 1
            ? mapped
            : await translation.map({ events: [event], coarse, count: 1 }, resources)
        pending.push({ event: { ...event, keys: shapeOf(event) }, mapped: own, of: events.length })
      }
      skipped += count - events.length
    },
    publish(found, applied) {
      const flushedInWindow = reasonsOf(found)
      const changes = pending.map((one) => changeOf(one, found, flushedInWindow, applied))
      const named = new Set(
        changes.flatMap(({ flushed }) => flushed.map(({ resource }) => resource)),
      )
      const others = [...flushedInWindow].filter(([resource]) => !named.has(resource))
      if (others.length > 0 && skipped === 0) changes.push(flushWithoutChange(others, applied))
      feed.add(changes, skipped)
      pending = []
      skipped = 0
    },
  }
}

/** Returns the flushed resources of a window, in whichever bucket. */
const reasonsOf = ({ flush }: Invalidations): ReadonlyMap<string, FlushReason> =>
  new Map([...flush].map(([{ resource }, reason]) => [resource.name, reason]))

/** Rows without their values: only their number is published. */
const shapeOf = ({ keys }: Event): Event['keys'] => keys && keys.map(() => [])

/** Also bounded by the previous window, as for the metric of the lag. */
function delayOf(atMs: number, { windows }: Invalidations, { buckets }: Applied): number {
  const since = Math.min(...windows.map(({ sinceMs }) => sinceMs))
  // The clocks of several servers cannot be compared.
  const timeMs = buckets.length === 1 ? (buckets[0]?.report.timeMs ?? null) : null
  const maxMs = timeMs === null ? Infinity : timeMs - since
  return Math.max(0, Math.min(Date.now() - atMs, maxMs))
}

function flushWithoutChange(
  flushed: readonly (readonly [string, string])[],
  { passes }: Applied,
): Change {
  const atMs = Date.now()
  return {
    id: `flush.${atMs}.${flushed[0]?.[0]}`,
    atMs,
    operation: 'flush',
    table: '',
    columns: null,
    rows: null,
    entries: [],
    more: 0,
    together: false,
    flushed: flushed.map(([resource, reason]) => ({ resource, reason: wordsOf(reason) })),
    delayMs: passes.length > 0 ? null : 0,
  }
}

/** A reason is words, or the letter of an event. */
const wordsOf = (reason: string): string =>
  reason in OPERATIONS ? OPERATIONS[reason as Event['op']] : reason
