import type { Logger } from 'winston'
import type { Event } from '../db/event-log/index.ts'
import {
  type Advance,
  type AdvanceReport,
  decodeWatermark,
  type Watermark,
} from '../shared/cache/index.ts'
import type { Applied, StateAdvance } from './apply.ts'
import type { Invalidations, TimedWindow } from './map-window.ts'
import type { FlushReason } from './mapping.ts'
import type { InvalidatorMetrics } from './metrics.ts'
import type { Pass } from './pass.ts'
import type { RedisTimes } from './redis-times.ts'
import type { ResourceStates } from './resource-states.ts'

/** Records what was applied: in the states of resources, metrics and the log. */
export interface Recorder {
  /** `sentAtMs` is `performance.now()` before the scripts were sent. */
  recordWindow(applied: Applied, invalidations: Invalidations, sentAtMs: number): void
  /** Takes over the watermarks of passes that have ended. Their resources continue from there. */
  recordPasses(): void
}

export interface RecorderDeps {
  readonly states: ResourceStates
  readonly times: RedisTimes
  /** Whether one server of Redis has all entries. */
  readonly isOneClock: boolean
  readonly metrics: InvalidatorMetrics
  readonly logger: Logger
  readonly tableOf: (event: Event) => string
}

/** Returns the watermark that a pass stored: its last step may have disabled the resource. */
const markOfPass = (text: string, { next }: Advance): Watermark => decodeWatermark(text) ?? next

/** Windows whose events count as applied when these passes have ended. */
interface DeferredWindows {
  readonly passes: readonly Pass[]
  readonly windows: readonly TimedWindow[]
}

export function createRecorder({
  states,
  times,
  isOneClock,
  metrics,
  logger,
  tableOf,
}: RecorderDeps): Recorder {
  let deferred: readonly DeferredWindows[] = []
  /** Reasons of flushes whose passes have ended in some buckets, by resource. */
  const ending = new Map<string, FlushReason>()

  function recordAdvances(
    advances: readonly StateAdvance[],
    { stored }: AdvanceReport,
    markOf: (text: string, advance: Advance) => Watermark = (_, { next }) => next,
  ): void {
    for (const { state, advance } of advances) {
      const { name } = state.resource
      const text = stored.get(name)
      if (text === undefined) {
        logger.warn('another worker changed the watermark, reading it again', { resource: name })
        states.discardWatermark(state)
        continue
      }
      states.setWritten(state, text, markOf(text, advance))
    }
  }

  function recordRemoved({ removed }: AdvanceReport): void {
    for (const [resource, count] of removed) metrics.invalidatedKeys.labels(resource).inc(count)
  }

  /** Records flushes by resource and reason, however many buckets were flushed. */
  function recordFlushes(flushed: readonly (readonly [name: string, reason: FlushReason])[]): void {
    for (const reason of new Set(flushed.map(([, one]) => one))) {
      const resources = [...new Set(flushed.flatMap(([name, one]) => (one === reason ? name : [])))]
      for (const name of resources) metrics.flushes.labels(name, reason).inc()
      logger.info('flushed resources', { resources, reason })
    }
  }

  /**
   * Records events and their lag. The time of a change may be much earlier than its commit. So the lag is
   * also bounded by the previous window, in which the change was not committed yet. Both bounds are
   * inexact and rely on different clocks: the smaller one counts. The clocks of several servers of Redis
   * give no second bound.
   */
  function recordEvents(windows: readonly TimedWindow[], timeMs: number | null): void {
    const nowMs = Date.now()
    for (const { window, sinceMs } of windows) {
      const maxMs = timeMs === null || !isOneClock ? Infinity : timeMs - sinceMs
      for (const event of window.events) {
        metrics.events.of(tableOf(event), event.op).n++
        metrics.lagSeconds.observe(Math.max(0, Math.min(nowMs - event.atMs, maxMs)) / 1000)
      }
      // A coarse window has one event for each table, version and op.
      if (window.coarse) metrics.events.of('many', 'B').n += window.count - window.events.length
    }
  }

  /** Returns the flushes whose passes have ended in all buckets, each of which had a pass of its own. */
  function takeEnded(): readonly (readonly [name: string, reason: FlushReason])[] {
    const running = new Set(
      states.all().flatMap(({ resource, pass }) => (pass ? resource.name : [])),
    )
    const ended = [...ending].filter(([name]) => !running.has(name))
    for (const [name] of ended) ending.delete(name)
    return ended
  }

  /** Records the events of windows whose passes have all ended. Returns the other windows. */
  function recordDeferred(): readonly DeferredWindows[] {
    return deferred.filter(({ passes, windows }) => {
      const outcomes = passes.map(({ outcome }) => outcome)
      if (outcomes.includes(undefined)) return true
      // Events of a failed pass are read again, and counted then.
      const ends = outcomes.map((outcome) => outcome?.timeMs ?? null)
      if (!outcomes.includes(null)) {
        recordEvents(windows, ends.includes(null) ? null : Math.max(...(ends as number[])))
      }
      return false
    })
  }

  return {
    recordWindow({ buckets, passes }, { flush, windows }, sentAtMs) {
      metrics.windows.inc()
      const flushed: [string, FlushReason][] = []
      for (const { bucket, advances, report } of buckets) {
        if (report.timeMs !== null) times.set(bucket, report.timeMs, sentAtMs)
        for (const { state } of advances) {
          const { name } = state.resource
          const reason = flush.get(state)
          if (reason !== undefined && report.stored.has(name)) flushed.push([name, reason])
        }
        recordAdvances(advances, report)
        recordRemoved(report)
      }
      recordFlushes(flushed)
      if (passes.length === 0) recordEvents(windows, buckets[0]?.report.timeMs ?? null)
      else deferred = [...deferred, { passes, windows }]
    },
    recordPasses() {
      for (const state of states.all()) {
        const { pass } = state
        if (pass?.outcome === undefined) continue
        const { advance, outcome, reason } = pass
        states.setPass(state, null)
        if (outcome === null) {
          states.discardWatermark(state)
          continue
        }
        const { name } = state.resource
        if (reason !== undefined && outcome.stored.has(name)) ending.set(name, reason)
        recordAdvances([{ state, advance }], outcome, markOfPass)
        recordRemoved(outcome)
      }
      if (ending.size > 0) recordFlushes(takeEnded())
      deferred = recordDeferred()
    },
  }
}
