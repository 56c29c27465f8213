import type { Counter, Gauge, Histogram } from 'prom-client'
import type { Instruments, Tally } from '../instruments.ts'

/** Metrics of readers. */
export interface CacheMetrics {
  /** By resource, outcome and detail, as in `Answer`. */
  readonly reads: Tally
  readonly loads: Counter<'resource'>
  readonly loadSeconds: Histogram<'resource'>
  /** By result: `stored`, or the reason why not. */
  readonly fills: Counter<'resource' | 'result'>
  readonly leaseWaits: Counter<'resource'>
  readonly store: StoreMetrics
}

/** Metrics of a store's Redis commands. */
export interface StoreMetrics {
  readonly commandSeconds: Histogram<'command'>
  readonly errors: Counter<'reason'>
  readonly breakerOpen: Gauge
  readonly unreadable: Unreadable
}

/** Counts values in Redis that this program did not write. They count as absent. */
export type Unreadable = Counter<'kind'>

const ERRORS = ['timeout', 'reply', 'connection'] as const
/** Reason why a command failed. */
export type RedisError = (typeof ERRORS)[number]

const REDIS_S = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1]
const LOAD_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

const UNREADABLE = ['key', 'value', 'watermark'] as const

/** `key`: a key of another type. `value`: not a cached value. `watermark`: not a watermark. */
export function createUnreadable(instruments: Instruments): Unreadable {
  const unreadable = instruments.counter(
    'unreadable_values_total',
    'Values found in Redis that this program did not write, by kind',
    'kind',
  )
  for (const kind of UNREADABLE) unreadable.labels(kind).inc(0)
  return unreadable
}

/** Creates the metrics of the cache engine. */
export function createCacheMetrics(instruments: Instruments): CacheMetrics {
  const { counter, gauge, histogram, tally } = instruments
  const errors = counter('redis_errors_total', 'Commands that failed', 'reason')
  // Counters start at 0: a counter that starts with its first failure shows no increase.
  for (const reason of ERRORS) errors.labels(reason).inc(0)
  return {
    reads: tally(
      'cache_reads_total',
      'Reads by outcome and detail',
      'resource',
      'outcome',
      'detail',
    ),
    loads: counter('cache_loads_total', 'Loads from Postgres', 'resource'),
    loadSeconds: histogram(
      'cache_load_duration_seconds',
      'Duration of loads from Postgres, including the wait in the queue',
      LOAD_S,
      'resource',
    ),
    fills: counter(
      'cache_fills_total',
      'Fills by result: stored, or the reason why not',
      'resource',
      'result',
    ),
    leaseWaits: counter(
      'cache_lease_waits_total',
      'Reads that waited for the load of another request',
      'resource',
    ),
    store: {
      commandSeconds: histogram(
        'redis_command_duration_seconds',
        'Duration of Redis commands, without the time in which this process was busy',
        REDIS_S,
        'command',
      ),
      errors,
      breakerOpen: gauge(
        'redis_breaker_open',
        'Whether requests skip Redis because it did not answer',
      ),
      unreadable: createUnreadable(instruments),
    },
  }
}
