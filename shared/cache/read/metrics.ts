import type { Counter, Histogram } from 'prom-client'
import { createStoreMetrics, type StoreMetrics } from '../entry-store/metrics.ts'
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

const LOAD_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Creates the metrics of the cache engine. */
export function createCacheMetrics(instruments: Instruments): CacheMetrics {
  const { counter, histogram, tally } = instruments
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
    store: createStoreMetrics(instruments),
  }
}
