import type { Counter } from 'prom-client'
import type { Instruments, Timings } from '../instruments.ts'

/** Metrics of a store's Redis commands. */
export interface StoreMetrics {
  /** By command. */
  readonly commandSeconds: Timings
  readonly errors: Counter<'reason'>
  readonly breakerOpen: { set(value: number): void }
  readonly unreadable: Unreadable
}

/** Counts values in Redis that this program did not write. They count as absent. */
export type Unreadable = Counter<'kind'>

const ERRORS = ['timeout', 'reply', 'connection'] as const
/** Reason why a command failed. */
export type RedisError = (typeof ERRORS)[number]

const REDIS_S = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1]

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

/** Creates the metrics of a store. */
export function createStoreMetrics(instruments: Instruments): StoreMetrics {
  const { counter, gauge, timings } = instruments
  const errors = counter('redis_errors_total', 'Commands that failed', 'reason')
  // Counters start at 0: a counter that starts with its first failure shows no increase.
  for (const reason of ERRORS) errors.labels(reason).inc(0)
  return {
    commandSeconds: timings(
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
  }
}
