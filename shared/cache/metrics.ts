import type { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { createInstruments, type Tally } from '../instruments.ts'

/** What readers count. */
export interface CacheMetrics {
  /** By resource, outcome and detail, as in `Answer`. */
  readonly reads: Tally
  readonly loads: Counter<'resource'>
  readonly loadSeconds: Histogram<'resource'>
  /** Result: `stored`, or why not. */
  readonly fills: Counter<'resource' | 'result'>
  readonly leaseWaits: Counter<'resource'>
  readonly store: StoreMetrics
}

/** What a store measures of its Redis. */
export interface StoreMetrics {
  readonly commandSeconds: Histogram<'command'>
  readonly errors: Counter<'reason'>
  readonly breakerOpen: Gauge
  readonly unreadable: Unreadable
}

/** Counts what stood in Redis and was not written by this program: it counts as absent there. */
export type Unreadable = Counter<'kind'>

const ERRORS = ['timeout', 'reply', 'connection'] as const
/** Why a command failed. */
export type RedisError = (typeof ERRORS)[number]

const REDIS_S = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1]
const LOAD_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

const UNREADABLE = ['key', 'value', 'watermark'] as const

/** `key`: of another type. `value`: what is no cached value. `watermark`: what is no watermark. */
export function createUnreadable(registry: Registry): Unreadable {
  const unreadable = createInstruments(registry).counter(
    'spms_unreadable_values_total',
    'Values found in Redis that this program did not write, by what stood in their place',
    'kind',
  )
  for (const kind of UNREADABLE) unreadable.labels(kind).inc(0)
  return unreadable
}

/** The engine's metrics. */
export function createCacheMetrics(registry: Registry): CacheMetrics {
  const { counter, gauge, histogram, tally } = createInstruments(registry)
  const errors = counter('spms_redis_errors_total', 'Commands that failed', 'reason')
  // What begins with its first failure would not be seen to have risen by it.
  for (const reason of ERRORS) errors.labels(reason).inc(0)
  return {
    reads: tally(
      'spms_cache_reads_total',
      'Reads by how they were answered, and why so',
      'resource',
      'outcome',
      'detail',
    ),
    loads: counter('spms_cache_loads_total', 'Loads from Postgres', 'resource'),
    loadSeconds: histogram(
      'spms_cache_load_duration_seconds',
      'Loads from Postgres, with the wait for their turn',
      LOAD_S,
      'resource',
    ),
    fills: counter(
      'spms_cache_fills_total',
      'Loads that were to be kept: stored, or why not',
      'resource',
      'result',
    ),
    leaseWaits: counter(
      'spms_cache_lease_waits_total',
      'Reads that waited for the load of another',
      'resource',
    ),
    store: {
      commandSeconds: histogram(
        'spms_redis_command_duration_seconds',
        'Waits for Redis, without those for a busy process of our own',
        REDIS_S,
        'command',
      ),
      errors,
      breakerOpen: gauge(
        'spms_redis_breaker_open',
        'Whether requests do not try Redis, because it did not answer',
      ),
      unreadable: createUnreadable(registry),
    },
  }
}
