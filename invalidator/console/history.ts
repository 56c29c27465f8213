import { setTimeout as sleep } from 'node:timers/promises'
import {
  inEachBucket,
  ageMsOf,
  type Buckets,
  findRedisUsage,
  type InvalidationStores,
  type ProcessReport,
  readReports,
  type RedisUsage,
  type ResourceRules,
  type Watermark,
} from '../../shared/cache/index.ts'
import { addLag, quantileMs } from './lag.ts'

/** Rates and gauges at one moment. Rates are per second, over all processes. */
export interface Point {
  /** Wall clock of this process. */
  readonly atMs: number
  readonly hits: number
  readonly misses: number
  readonly stale: number
  readonly bypasses: number
  readonly events: number
  /** Reads that needed no load of their own. */
  readonly saved: number
  /** Null if nothing was invalidated. */
  readonly lagP50Ms: number | null
  readonly lagP99Ms: number | null
  /** Null while Redis does not answer. */
  readonly redisBytes: number | null
  /** Age of the oldest watermark; null if one is missing, or while Redis does not answer. */
  readonly watermarkAgeMs: number | null
}

/** The last sample of all processes, and the points of the last 15 minutes. */
export interface History {
  readonly points: readonly Point[]
  readonly reports: readonly ProcessReport[]
  readonly marks: ReadonlyMap<string, Watermark> | null
  readonly usage: RedisUsage | null
  /** Time of Redis when the watermarks were read. */
  readonly redisMs: number
  /** Whether the last reading of Redis succeeded. */
  readonly isRedisUp: boolean
}

export interface HistoryDeps {
  readonly buckets: Buckets
  readonly stores: Pick<InvalidationStores, 'count' | 'at'>
  readonly catalog: readonly ResourceRules[]
}

const EVERY_MS = 2_000
const KEPT_MS = 15 * 60_000
/** Processes whose last report is remembered. */
const MAX_KNOWN = 200
const NOTHING = { hits: 0, misses: 0, stale: 0, bypasses: 0, loads: 0 }

/** Samples the counters of all processes every 2 s until `stopping`. */
export function runHistory(
  { buckets, stores, catalog }: HistoryDeps,
  stopping: AbortSignal,
): History {
  const points: Point[] = []
  let state: Omit<History, 'points'> = {
    reports: [],
    marks: null,
    usage: null,
    redisMs: 0,
    isRedisUp: false,
  }
  /** The last report of each process; null before the first sample. */
  let before: ReadonlyMap<string, ProcessReport> | null = null
  let sampledAtMs = performance.now()

  async function read(): Promise<Omit<History, 'points'>> {
    if (buckets.available === 0) throw new Error('Redis is not connected')
    const home = buckets.home()
    const [reports, published, usage] = await Promise.all([
      home === null ? [] : readReports(home.redis, home.prefix),
      readOldest(stores),
      // INFO may not be permitted.
      findRedisUsage(buckets.servers).catch(() => null),
    ])
    return { reports, ...published, usage, isRedisUp: true }
  }

  async function sample(): Promise<void> {
    const away = { reports: [], marks: null, usage: null, redisMs: 0, isRedisUp: false }
    state = await read().catch(() => away)
    const nowMs = performance.now()
    points.push(pointOf(state, before, (nowMs - sampledAtMs) / 1000, catalog))
    while ((points[0]?.atMs ?? Infinity) < Date.now() - KEPT_MS) points.shift()
    sampledAtMs = nowMs
    if (!state.isRedisUp) return
    const seen = new Map(state.reports.map((report) => [report.id, report]))
    const missing = [...(before ?? [])].filter(([id]) => !seen.has(id))
    // A process that reports again must not count twice.
    before = new Map([...missing, ...seen].slice(-MAX_KNOWN))
  }

  void (async () => {
    while (!stopping.aborted) {
      await sample()
      await sleep(EVERY_MS, undefined, { signal: stopping, ref: false }).catch(() => undefined)
    }
  })()
  return {
    points,
    get reports() {
      return state.reports
    },
    get marks() {
      return state.marks
    },
    get usage() {
      return state.usage
    },
    get redisMs() {
      return state.redisMs
    },
    get isRedisUp() {
      return state.isRedisUp
    },
  }
}

/**
 * Reads the watermarks of the buckets that answer, and returns the oldest of each resource, with its age by
 * the clock of the first bucket: the clocks of several servers cannot be compared.
 */
async function readOldest(
  stores: HistoryDeps['stores'],
): Promise<Pick<History, 'marks' | 'redisMs'>> {
  const results = await Promise.allSettled(
    inEachBucket(stores, async (bucket) => {
      const store = stores.at(bucket)
      return Promise.all([store.time(), store.readAll()])
    }),
  )
  const found = results.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const [first] = found
  if (first === undefined) throw new Error('no bucket answers')
  const [redisMs] = first
  const marks = new Map<string, Watermark>()
  for (const [nowMs, ofBucket] of found) {
    for (const [name, mark] of ofBucket) {
      const asOfMs = redisMs - (nowMs - mark.asOfMs)
      if (asOfMs < (marks.get(name)?.asOfMs ?? Infinity)) marks.set(name, { ...mark, asOfMs })
    }
  }
  return { marks, redisMs }
}

function pointOf(
  { reports, marks, usage, redisMs, isRedisUp }: Omit<History, 'points'>,
  before: ReadonlyMap<string, ProcessReport> | null,
  seconds: number,
  catalog: readonly ResourceRules[],
): Point {
  const sums = { hits: 0, misses: 0, stale: 0, bypasses: 0, loads: 0, events: 0 }
  let lag: number[] = []
  let bounds: readonly number[] = []
  for (const report of reports) {
    // At the first sample the counters have counted for an unknown time. A process that appears later is new.
    if (before === null) continue
    const last = before.get(report.id)
    const [now, then] = [totalsOf(report), last === undefined ? NOTHING : totalsOf(last)]
    for (const name of ['hits', 'misses', 'stale', 'bypasses', 'loads'] as const) {
      sums[name] += now[name] - then[name]
    }
    // Every invalidator reads every event.
    sums.events = Math.max(sums.events, report.events - (last?.events ?? 0))
    if (report.lag !== null) {
      bounds = report.lag.bounds
      lag = addLag(lag, report.lag.counts, last?.lag?.counts)
    }
  }
  const perS = (count: number) => Math.max(0, count) / seconds
  const reads = sums.hits + sums.misses + sums.stale + sums.bypasses
  return {
    atMs: Date.now(),
    hits: perS(sums.hits),
    misses: perS(sums.misses),
    stale: perS(sums.stale),
    bypasses: perS(sums.bypasses),
    events: perS(sums.events),
    saved: perS(reads - sums.loads),
    lagP50Ms: quantileMs(bounds, lag, 0.5),
    lagP99Ms: quantileMs(bounds, lag, 0.99),
    redisBytes: usage?.usedBytes ?? null,
    watermarkAgeMs: isRedisUp && marks !== null ? oldestMs(marks, redisMs, catalog) : null,
  }
}

/** Returns the age of the oldest watermark; null if one is missing or in the future. */
export function oldestMs(
  marks: ReadonlyMap<string, Watermark>,
  redisMs: number,
  catalog: readonly ResourceRules[],
): number | null {
  const ages = catalog.map(({ name }) => {
    const mark = marks.get(name)
    return mark === undefined ? Infinity : ageMsOf(mark, redisMs)
  })
  const oldest = Math.max(...ages)
  return oldest === Infinity ? null : oldest
}

const sum = (counts: Readonly<Record<string, number>>) =>
  Object.values(counts).reduce((total, count) => total + count, 0)

/** Sums the counters of a process over its resources. */
export function totalsOf({ reads, loads }: Pick<ProcessReport, 'reads' | 'loads'>) {
  const all = Object.values(reads)
  return {
    hits: all.reduce((total, { hits }) => total + hits, 0),
    misses: all.reduce((total, { misses }) => total + misses, 0),
    stale: all.reduce((total, { stale }) => total + stale, 0),
    bypasses: all.reduce((total, { bypasses }) => total + sum(bypasses), 0),
    loads: sum(loads),
  }
}
