import type { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { createUnreadable, type Unreadable } from '../shared/cache/metrics.ts'
import { createInstruments, type Tally } from '../shared/instruments.ts'

/** What the invalidator counts. */
export interface InvalidatorMetrics {
  /** By table and op, as in `Event`. Every replica reads every event. */
  readonly events: Tally
  readonly invalidatedKeys: Counter<'resource'>
  readonly flushes: Counter<'resource' | 'reason'>
  /** From a commit to the moment its keys were gone. */
  readonly lagSeconds: Histogram
  readonly windows: Counter
  readonly wakeUps: Counter
  /** 1 for each resource that this replica invalidates for. */
  readonly owned: Gauge<'resource'>
  /** 1 for each table of an owned resource whose changes may go unlogged, by cause; 0 without a table. */
  readonly damagedTables: Gauge<'resource' | 'table' | 'cause'>
  readonly unreadable: Unreadable
  /** 1 for each resource that is left alone because another database invalidates in the same Redis. */
  readonly foreignWatermarks: Gauge<'resource'>
}

const LAG_S = [
  0.0005, 0.001, 0.0015, 0.002, 0.003, 0.006, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 10,
]

/** What is counted on the way of windows; the rest is measured by chores. */
export function createInvalidatorMetrics(registry: Registry): InvalidatorMetrics {
  const { counter, gauge, histogram, tally } = createInstruments(registry)
  return {
    events: tally('spms_events_total', 'Events read from the log', 'table', 'op'),
    invalidatedKeys: counter('spms_invalidated_keys_total', 'Entries invalidated', 'resource'),
    flushes: counter('spms_flushes_total', 'Flushes by reason', 'resource', 'reason'),
    lagSeconds: histogram(
      'spms_invalidation_lag_seconds',
      'From a commit to its invalidation, at most',
      LAG_S,
    ),
    windows: counter('spms_invalidator_windows_total', 'Windows applied'),
    wakeUps: counter('spms_wakeups_total', 'Notifications that woke an idle invalidator'),
    owned: gauge(
      'spms_resource_owned',
      'Whether this replica invalidates for a resource',
      'resource',
    ),
    damagedTables: gauge(
      'spms_damaged_tables',
      'Tables of an owned resource whose changes may go unlogged, by cause',
      'resource',
      'table',
      'cause',
    ),
    unreadable: createUnreadable(registry),
    foreignWatermarks: gauge(
      'spms_foreign_watermarks',
      'Resources whose watermark another database moves',
      'resource',
    ),
  }
}
