import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'winston'
import { type Gauges, readGauges, type Snapshot } from '../db/event-log/index.ts'
import {
  ageMsOf,
  type Buckets,
  type DenialLog,
  findRedisUsage,
  type Instruments,
  type InvalidationStores,
  type RedisUsage,
  type ResourceRules,
  type Watermark,
} from '../shared/cache/index.ts'

export interface MetricsCollectorDeps {
  readonly databaseUrl: string
  readonly applicationName: string
  readonly buckets: Buckets
  readonly stores: Pick<InvalidationStores, 'count' | 'at'>
  readonly catalog: readonly ResourceRules[]
  readonly instruments: Instruments
  readonly logger: Logger
  readonly logDenial: DenialLog
  readonly everyMs?: number
}

const EVERY_MS = 10_000
/** Also the longest wait for the connection to Redis after a start. */
const RETRY_MS = 2_000

/** The stored watermarks of one bucket, with the time of their reading by both clocks. */
interface Published {
  readonly marks: ReadonlyMap<string, Watermark>
  readonly redisMs: number
  readonly atMs: number
  /** Whether they are those of an earlier reading, because the last one failed. */
  readonly isOld: boolean
}

/**
 * Collects metrics that operators need but windows do not. It runs beside the loop that reads windows,
 * on its own connections or behind the loop's commands, and its failures stop nothing. A metric that
 * could not be read is omitted; no old value is reported. Each replica collects all metrics, so that
 * any of them may stop.
 */
export async function runMetricsCollector(
  deps: MetricsCollectorDeps,
  stopping: AbortSignal,
): Promise<void> {
  const { databaseUrl, applicationName, buckets, stores, catalog, logger, logDenial } = deps
  const published: (Published | null)[] = Array.from({ length: stores.count }, () => null)
  let usage: RedisUsage | null = null
  let gauges: Gauges | null = null
  let isComplete = true
  const known = () => published.filter((one) => one !== null)
  registerGauges(deps, { published: known, usage: () => usage, gauges: () => gauges })

  await untilConnected(buckets, stopping)
  while (!stopping.aborted) {
    const errors: unknown[] = []
    const orNull = async <T>(work: Promise<T>): Promise<T | null> =>
      work.catch((error: unknown) => {
        errors.push(error)
        return null
      })
    const [used] = await Promise.all([
      orNull(findRedisUsage(buckets.servers)),
      ...published.map(async (before, bucket) => {
        const found = await orNull(readPublished(stores, bucket))
        published[bucket] = found ?? (before && { ...before, isOld: true })
      }),
    ])
    usage = used
    const since = lowest(known(), catalog)
    gauges = await orNull(readGauges({ url: databaseUrl, applicationName, since }))

    errors.forEach(logDenial)
    if (isComplete !== (errors.length === 0)) {
      isComplete = !isComplete
      if (isComplete) logger.info('metrics are complete again')
      else logger.warn('metrics are incomplete', { error: errors[0] })
    }
    const pauseMs = deps.everyMs ?? (isComplete ? EVERY_MS : RETRY_MS)
    await sleep(pauseMs, undefined, { signal: stopping }).catch(() => undefined)
  }
}

/** Waits until Redis is connected, or for `RETRY_MS`. */
async function untilConnected(buckets: Buckets, stopping: AbortSignal): Promise<void> {
  const waiting = new AbortController()
  const wake = () => {
    if (buckets.available === buckets.count) waiting.abort()
  }
  const removeListener = buckets.onChange(wake)
  wake()
  const signal = AbortSignal.any([stopping, waiting.signal])
  await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined)
  removeListener()
}

/**
 * Returns the clock's time when the watermarks were read. While Redis is unavailable no watermark is
 * published, so the time since the last reading is added.
 */
const timeOf = ({ redisMs, atMs, isOld }: Published): number =>
  redisMs + (isOld ? performance.now() - atMs : 0)

async function readPublished(
  stores: MetricsCollectorDeps['stores'],
  bucket: number,
): Promise<Published> {
  const atMs = performance.now()
  const store = stores.at(bucket)
  const [redisMs, marks] = await Promise.all([store.time(), store.readAll()])
  return { marks, redisMs, atMs, isOld: false }
}

/** Returns the snapshot of the resource and bucket that is furthest behind. */
function lowest(
  published: readonly Published[],
  catalog: readonly ResourceRules[],
): Snapshot | null {
  const snapshots = published.flatMap(({ marks }) =>
    catalog.flatMap(({ name }) => marks.get(name)?.snapshot ?? []),
  )
  return snapshots.reduce<Snapshot | null>(
    (least, one) => (least === null || one.xmax < least.xmax ? one : least),
    null,
  )
}

interface Measured {
  readonly published: () => readonly Published[]
  readonly usage: () => RedisUsage | null
  readonly gauges: () => Gauges | null
}

function registerGauges({ instruments, catalog }: MetricsCollectorDeps, measured: Measured): void {
  const { published, usage, gauges } = measured
  const { reading, sum } = instruments
  const read = (name: string, help: string, value: () => number | null | undefined) =>
    reading(name, help, () => {
      const found = value()
      return found == null ? [] : [[{}, found] as const]
    })

  reading(
    'watermark_age_seconds',
    'Time since everything committed had been applied, as stored in Redis, in a cluster that of the bucket which is furthest behind; infinite without a watermark',
    () => {
      const found = published()
      if (found.length === 0) return []
      return catalog.map(({ name }) => {
        const ages = found.map((one) => {
          const mark = one.marks.get(name)
          return mark ? ageMsOf(mark, timeOf(one)) : Infinity
        })
        return [{ resource: name }, Math.max(...ages) / 1000] as const
      })
    },
    'resource',
  )
  read(
    'event_backlog',
    'Events committed after the lowest watermark, at most 100000',
    () => gauges()?.waiting,
  )
  read('event_log_bytes', 'Size of the event log', () => gauges()?.bytes)
  read('event_log_oldest_seconds', 'Age of the oldest event in the log', () => gauges()?.oldestS)
  read(
    'notify_queue_usage_ratio',
    'Used share of the queue of notifications of Postgres',
    () => gauges()?.notifyQueueUsage,
  )
  read('redis_memory_used_bytes', 'Memory that Redis uses', () => usage()?.usedBytes)
  read(
    'redis_memory_max_bytes',
    'Memory that Redis may use; 0 means no limit',
    () => usage()?.maxBytes,
  )
  sum(
    'redis_evicted_keys_total',
    'Entries that Redis evicted for lack of memory',
    () => usage()?.evictedKeys,
  )
}
