import type { Counter, Gauge, Histogram } from 'prom-client'
import {
  createUnreadable,
  type Instruments,
  type Tally,
  type Unreadable,
} from '../shared/cache/index.ts'

/** Metrics of the invalidator. */
export interface InvalidatorMetrics {
  /** By table and op, as in `Event`. Every replica reads every event. */
  readonly events: Tally
  readonly invalidatedKeys: Counter<'resource'>
  readonly flushes: Counter<'resource' | 'reason'>
  /** Time from a commit until its entries were deleted. */
  readonly lagSeconds: Histogram
  readonly windows: Counter
  readonly wakeUps: Counter
  /** 1 for each resource that this replica owns. */
  readonly owned: Gauge<'resource'>
  /**
   * 1 for each table of an owned resource whose changes may go unlogged, by cause; 0 if there is
   * none.
   */
  readonly damagedTables: Gauge<'resource' | 'table' | 'cause'>
  readonly unreadable: Unreadable
  /** 1 for each resource that is not invalidated because another database uses the same Redis. */
  readonly foreignWatermarks: Gauge<'resource'>
}

const LAG_S = [
  0.0005, 0.001, 0.0015, 0.002, 0.003, 0.006, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 10,
]

/** Creates the metrics of windows. The metrics collector creates the others. */
export function createInvalidatorMetrics(instruments: Instruments): InvalidatorMetrics {
  const { counter, gauge, histogram, tally } = instruments
  return {
    events: tally('events_total', 'Events read from the log', 'table', 'op'),
    invalidatedKeys: counter('invalidated_keys_total', 'Entries invalidated', 'resource'),
    flushes: counter('flushes_total', 'Flushes by reason', 'resource', 'reason'),
    lagSeconds: histogram(
      'invalidation_lag_seconds',
      'Time from a commit to its invalidation, upper bound',
      LAG_S,
    ),
    windows: counter('invalidator_windows_total', 'Windows applied'),
    wakeUps: counter('wakeups_total', 'Notifications that the invalidator received'),
    owned: gauge(
      'resource_owned',
      'Whether this replica owns a resource and invalidates it',
      'resource',
    ),
    damagedTables: gauge(
      'damaged_tables',
      'Tables of an owned resource whose changes may go unlogged, by cause',
      'resource',
      'table',
      'cause',
    ),
    unreadable: createUnreadable(instruments),
    foreignWatermarks: gauge(
      'foreign_watermarks',
      'Resources whose watermark another database advances',
      'resource',
    ),
  }
}
