import type { Instruments, MetricValue } from '../instruments.ts'

/** Identity of a process, and its counters since its start. */
export interface ProcessReport {
  readonly id: string
  /** Its name in Postgres and Redis. */
  readonly application: string
  readonly version: string
  readonly host: string
  readonly pid: number
  /** Wall clock of its host at its start. */
  readonly startedAtMs: number
  /** Processor time that it has used. */
  readonly cpuMs: number
  readonly residentBytes: number
  /** Internal address at which it answers questions of the console; by default it answers none. */
  readonly answersAt?: string
  /** By resource. */
  readonly reads: Readonly<Record<string, ReadCounts>>
  /** Loads from Postgres. */
  readonly loads: Readonly<Record<string, number>>
  readonly invalidated: Readonly<Record<string, number>>
  readonly flushes: Readonly<Record<string, number>>
  /** Events that an invalidator has read. */
  readonly events: number
  /** Durations from a commit to its invalidation; null for other processes. */
  readonly lag: LagCounts | null
  /** Resources that an invalidator owns. */
  readonly owned: readonly string[]
}

/** Reads of one resource by outcome. */
export interface ReadCounts {
  readonly hits: number
  readonly misses: number
  /** Expired values that were served because the load failed. */
  readonly stale: number
  /** By reason. */
  readonly bypasses: Readonly<Record<string, number>>
}

/** A histogram. */
export interface LagCounts {
  /** Upper bounds of the buckets in seconds. */
  readonly bounds: readonly number[]
  /** Number of durations in each bucket; the last one has those above all bounds. */
  readonly counts: readonly number[]
}

/** The part of a report that changes. */
export type Counters = Omit<
  ProcessReport,
  'id' | 'application' | 'version' | 'host' | 'pid' | 'startedAtMs' | 'answersAt'
>

/** Reads the counters of this process from its metrics. */
export async function readCounters(instruments: Instruments): Promise<Counters> {
  const [reads, loads, invalidated, flushes, events, lag, owned] = await Promise.all(
    [
      'cache_reads_total',
      'cache_loads_total',
      'invalidated_keys_total',
      'flushes_total',
      'events_total',
      'invalidation_lag_seconds',
      'resource_owned',
    ].map((name) => instruments.values(name)),
  )
  const { user, system } = process.cpuUsage()
  return {
    cpuMs: (user + system) / 1000,
    residentBytes: process.memoryUsage.rss(),
    reads: countReads(reads ?? []),
    loads: sumBy(loads ?? [], 'resource'),
    invalidated: sumBy(invalidated ?? [], 'resource'),
    flushes: sumBy(flushes ?? [], 'resource'),
    events: (events ?? []).reduce((sum, { value }) => sum + value, 0),
    lag: countLag(lag ?? []),
    owned: (owned ?? []).flatMap(({ labels, value }) =>
      value === 1 ? [String(labels.resource)] : [],
    ),
  }
}

function countReads(values: readonly MetricValue[]): Record<string, ReadCounts> {
  const counts: Record<
    string,
    { hits: number; misses: number; stale: number; bypasses: Record<string, number> }
  > = {}
  for (const { labels, value } of values) {
    const { resource, outcome, detail } = labels
    const found = (counts[String(resource)] ??= { hits: 0, misses: 0, stale: 0, bypasses: {} })
    if (outcome === 'hit') found.hits += value
    else if (outcome === 'miss') found.misses += value
    else if (outcome === 'stale') found.stale += value
    else found.bypasses[String(detail)] = (found.bypasses[String(detail)] ?? 0) + value
  }
  return counts
}

function sumBy(values: readonly MetricValue[], label: string): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const { labels, value } of values) {
    const name = String(labels[label])
    sums[name] = (sums[name] ?? 0) + value
  }
  return sums
}

/** Each exported bucket includes those below it. */
function countLag(values: readonly MetricValue[]): LagCounts | null {
  const buckets = values.filter(({ metricName }) => metricName?.endsWith('_bucket') === true)
  if (buckets.length === 0) return null
  const sums = buckets.map(({ value }) => value)
  return {
    bounds: buckets.flatMap(({ labels }) => (labels.le === '+Inf' ? [] : [Number(labels.le)])),
    counts: sums.map((sum, at) => sum - (sums[at - 1] ?? 0)),
  }
}
