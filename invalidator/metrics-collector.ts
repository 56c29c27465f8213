import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'winston'
import { type Gauges, readGauges, type Snapshot } from '../db/event-log/index.ts'
import {
  ageMsOf,
  type DenialLog,
  findRedisUsage,
  type Instruments,
  type InvalidationStore,
  type Redis,
  type RedisUsage,
  type ResourceRules,
  type Watermark,
} from '../shared/cache/index.ts'

export interface MetricsCollectorDeps {
  readonly databaseUrl: string
  readonly applicationName: string
  readonly redis: Redis
  readonly invalidationStore: Pick<InvalidationStore, 'time' | 'readAll'>
  readonly catalog: readonly ResourceRules[]
  readonly instruments: Instruments
  readonly logger: Logger
  readonly logDenial: DenialLog
  readonly everyMs?: number
}

const EVERY_MS = 10_000
/** Also the longest wait for the connection to Redis after a start. */
const RETRY_MS = 2_000

/** All stored watermarks, with the time of their reading by both clocks. */
interface Published {
  readonly marks: ReadonlyMap<string, Watermark>
  readonly redisMs: number
  readonly atMs: number
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
  const { databaseUrl, applicationName, redis, invalidationStore, catalog, logger, logDenial } =
    deps
  let published: Published | null = null
  let isRedisAway = false
  let usage: RedisUsage | null = null
  let gauges: Gauges | null = null
  let isComplete = true
  registerGauges(deps, {
    marks: () => published?.marks,
    nowMs: () => timeOf(published as Published, isRedisAway),
    usage: () => usage,
    gauges: () => gauges,
  })

  if (redis.status !== 'ready') {
    const options = { signal: stopping }
    const connected = once(redis, 'ready', options)
    await Promise.race([connected, sleep(RETRY_MS, undefined, options)]).catch(() => undefined)
  }
  while (!stopping.aborted) {
    const errors: unknown[] = []
    const orNull = async <T>(work: Promise<T>): Promise<T | null> =>
      work.catch((error: unknown) => {
        errors.push(error)
        return null
      })
    const [found, used] = await Promise.all([
      orNull(readPublished(invalidationStore)),
      orNull(findRedisUsage(redis)),
    ])
    published = found ?? published
    isRedisAway = found === null
    usage = used
    const since = published && lowest(published, catalog)
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

/**
 * Returns the clock's time when the watermarks were read. While Redis is unavailable no watermark is
 * published, so the time since the last reading is added.
 */
const timeOf = ({ redisMs, atMs }: Published, isRedisAway: boolean): number =>
  redisMs + (isRedisAway ? performance.now() - atMs : 0)

async function readPublished(
  invalidationStore: MetricsCollectorDeps['invalidationStore'],
): Promise<Published> {
  const atMs = performance.now()
  const [redisMs, marks] = await Promise.all([
    invalidationStore.time(),
    invalidationStore.readAll(),
  ])
  return { marks, redisMs, atMs }
}

/** Returns the snapshot of the resource that is furthest behind. */
function lowest({ marks }: Published, catalog: readonly ResourceRules[]): Snapshot | null {
  const snapshots = catalog.flatMap(({ name }) => marks.get(name)?.snapshot ?? [])
  return snapshots.reduce<Snapshot | null>(
    (least, one) => (least === null || one.xmax < least.xmax ? one : least),
    null,
  )
}

interface Measured {
  readonly marks: () => Published['marks'] | undefined
  readonly nowMs: () => number
  readonly usage: () => RedisUsage | null
  readonly gauges: () => Gauges | null
}

function registerGauges({ instruments, catalog }: MetricsCollectorDeps, measured: Measured): void {
  const { marks, nowMs, usage, gauges } = measured
  const { reading, sum } = instruments
  const read = (name: string, help: string, value: () => number | null | undefined) =>
    reading(name, help, () => {
      const found = value()
      return found == null ? [] : [[{}, found] as const]
    })

  reading(
    'watermark_age_seconds',
    'Time since everything committed had been applied, as stored in Redis; infinite without a watermark',
    () => {
      const found = marks()
      if (found === undefined) return []
      return catalog.map(({ name }) => {
        const mark = found.get(name)
        const ageMs = mark ? ageMsOf(mark, nowMs()) : Infinity
        return [{ resource: name }, ageMs / 1000] as const
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
