import type { Logger } from 'winston'
import type { Event } from '../db/event-log/index.ts'
import type { Advance, AdvanceReport } from '../shared/cache/index.ts'
import type { Applied } from './apply.ts'
import type { Invalidations, TimedWindow } from './map-window.ts'
import type { FlushReason } from './mapping.ts'
import type { InvalidatorMetrics } from './metrics.ts'
import type { Pass } from './pass.ts'
import type { ResourceStates } from './resource-states.ts'

/** Records what was applied: in the states of resources, metrics and the log. */
export interface Recorder {
  recordWindow(applied: Applied, invalidations: Invalidations): void
  /** Takes over the watermarks of passes that have ended. Their resources continue from there. */
  recordPasses(): void
}

export interface RecorderDeps {
  readonly states: ResourceStates
  readonly metrics: InvalidatorMetrics
  readonly logger: Logger
  readonly tableOf: (event: Event) => string
}

/** Windows whose events count as applied when these passes have ended. */
interface DeferredWindows {
  readonly passes: readonly Pass[]
  readonly windows: readonly TimedWindow[]
}

export function createRecorder({ states, metrics, logger, tableOf }: RecorderDeps): Recorder {
  let deferred: readonly DeferredWindows[] = []

  function recordAdvances(advances: readonly Advance[], { stored }: AdvanceReport): void {
    for (const { resource } of advances) {
      const text = stored.get(resource.name)
      if (text === undefined) {
        logger.warn('another worker changed the watermark, reading it again', {
          resource: resource.name,
        })
        states.discardWatermark(resource.name)
        continue
      }
      states.setWritten(resource.name, text)
    }
  }

  function recordRemoved(
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
  function recordEvents(windows: readonly TimedWindow[], timeMs: number | null): void {
    const nowMs = Date.now()
    for (const { window, sinceMs } of windows) {
      const maxMs = timeMs === null ? Infinity : timeMs - sinceMs
      for (const event of window.events) {
        metrics.events.of(tableOf(event), event.op).n++
        metrics.lagSeconds.observe(Math.max(0, Math.min(nowMs - event.atMs, maxMs)) / 1000)
      }
      // A coarse window has one event for each table, version and op.
      if (window.coarse) metrics.events.of('many', 'B').n += window.count - window.events.length
    }
  }

  /** Records the events of windows whose passes have all ended. Returns the other windows. */
  function recordDeferred(): readonly DeferredWindows[] {
    return deferred.filter(({ passes, windows }) => {
      const outcomes = passes.map(({ outcome }) => outcome)
      if (outcomes.includes(undefined)) return true
      // Events of a failed pass are read again, and counted then.
      const times = outcomes.map((outcome) => outcome?.timeMs ?? null)
      if (!outcomes.includes(null)) {
        recordEvents(windows, times.includes(null) ? null : Math.max(...(times as number[])))
      }
      return false
    })
  }

  return {
    recordWindow({ advances, report, passes }, { flush, windows }) {
      recordAdvances(advances, report)
      metrics.windows.inc()
      recordRemoved(advances, report, flush)
      if (passes.length === 0) recordEvents(windows, report.timeMs)
      else deferred = [...deferred, { passes, windows }]
    },
    recordPasses() {
      for (const { resource, pass } of states.all()) {
        if (pass?.outcome === undefined) continue
        const { advance, outcome, reason } = pass
        states.setPass(resource.name, null)
        if (outcome === null) states.discardWatermark(resource.name)
        else {
          recordAdvances([advance], outcome)
          recordRemoved([advance], outcome, new Map(reason && [[resource.name, reason]]))
        }
      }
      deferred = recordDeferred()
    },
  }
}
