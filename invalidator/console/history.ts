import { setTimeout as sleep } from 'node:timers/promises'
import {
  ageMsOf,
  findRedisUsage,
  type InvalidationStore,
  type ProcessReport,
  readReports,
  type Redis,
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
  readonly redis: Redis
  readonly prefix: string
  readonly invalidationStore: Pick<InvalidationStore, 'time' | 'readAll'>
  readonly catalog: readonly ResourceRules[]
}

const EVERY_MS = 2_000
const KEPT_MS = 15 * 60_000
/** Processes whose last report is remembered. */
const MAX_KNOWN = 200
const NOTHING = { hits: 0, misses: 0, stale: 0, bypasses: 0, loads: 0 }

/** Samples the counters of all processes every 2 s until `stopping`. */
export function runHistory(
  { redis, prefix, invalidationStore, catalog }: HistoryDeps,
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
    if (redis.status !== 'ready') throw new Error('Redis is not connected')
    const [reports, redisMs, marks, usage] = await Promise.all([
      readReports(redis, prefix),
      invalidationStore.time(),
      invalidationStore.readAll(),
      // INFO may not be permitted.
      findRedisUsage(redis).catch(() => null),
    ])
    return { reports, redisMs, marks, usage, isRedisUp: true }
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
