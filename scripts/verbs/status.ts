import { type LogStatus, readBacklog, readStatus } from '../../db/event-log/index.ts'
import {
  inEachBucket,
  ageMsOf,
  type Buckets,
  createInvalidationStores,
  decodeWatermark,
  isUnreadable,
  openBuckets,
  type Watermark,
} from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import { maskUrl } from '../mask-url.ts'
import type { Discovered } from '../servers/discover.ts'
import { untilAvailable } from './with-redis.ts'

const REDIS_TIMEOUT_MS = 2_000
const STATUS = { applicationName: 'spms-status', sessionPrefix: 'spms-' }

/** Prints the installed rules, damaged triggers, the backlog and the age of each watermark. */
export async function runStatus(
  { databaseUrl, redisUrl }: Discovered,
  prefix: string,
): Promise<void> {
  const status = await readStatus(databaseUrl, STATUS)
  console.log(`database     ${maskUrl(databaseUrl)}`)
  for (const line of describeLog(status)) console.log(line)
  if (status.version !== null && redisUrl !== undefined) {
    console.log(`redis        ${maskUrl(redisUrl)}, prefix ${prefix}`)
    for (const line of await describeWatermarks(redisUrl, prefix, databaseUrl)) console.log(line)
  }
}

function describeLog(status: LogStatus): string[] {
  if (status.version === null) return ['event log    not installed: npm run spms -- install']
  const { damaged } = status
  return [
    `rules        version ${status.version}, ${status.tables} tables watched`,
    ...(damaged.length === 0
      ? ['triggers     intact']
      : [
          'triggers     DAMAGED: npm run spms -- doctor prints the remedies',
          ...new Set(damaged.map(({ text }) => `  ${text}`)),
        ]),
    `event log    ${status.events} events, ${Math.ceil(status.bytes / 1024)} KiB`,
    ...(status.sessions.length === 0
      ? ['invalidator  NONE is running: nothing is invalidated']
      : status.sessions.map(
          ({ application, locks }) => `invalidator  ${application}, ${locks} locks`,
        )),
  ]
}

async function describeWatermarks(
  redisUrl: string,
  prefix: string,
  databaseUrl: string,
): Promise<string[]> {
  const buckets = openBuckets(redisUrl, prefix, {
    name: 'spms-status',
    commandTimeoutMs: REDIS_TIMEOUT_MS,
    onState: () => undefined,
  })
  try {
    const available = await untilAvailable(buckets, REDIS_TIMEOUT_MS, REDIS_TIMEOUT_MS)
    if (available === 0) return ['             does not answer']
    const found = await readAll(buckets)
    const missing = buckets.count - found.length
    return [
      ...(buckets.count === 1
        ? []
        : [
            `buckets      ${found.length} of ${buckets.count} on ${buckets.servers.length} servers` +
              (missing === 0 ? '' : `, ${missing} UNAVAILABLE: their entries are not cached`),
          ]),
      ...(await Promise.all(
        catalog.map(({ name }) => describeWatermark(name, found, databaseUrl)),
      )),
    ]
  } finally {
    buckets[Symbol.dispose]()
  }
}

/** The stored watermarks of a bucket, by resource, and its time. */
interface BucketMarks {
  readonly nowMs: number
  readonly texts: ReadonlyMap<string, string | null>
}

/** Reads the buckets that answer. */
async function readAll(buckets: Buckets): Promise<readonly BucketMarks[]> {
  const stores = createInvalidationStores(buckets)
  const read = async (bucket: number): Promise<BucketMarks> => {
    const store = stores.at(bucket)
    const nowMs = await store.time()
    const texts = await Promise.all(
      catalog.map(async ({ name }) => [name, await store.read(name)] as const),
    )
    return { nowMs, texts: new Map(texts) }
  }
  const results = await Promise.allSettled(inEachBucket(buckets, read))
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
}

/** Describes the watermark of the bucket that is furthest behind. */
async function describeWatermark(
  name: string,
  found: readonly BucketMarks[],
  databaseUrl: string,
): Promise<string> {
  const label = `  ${name.padEnd(24)}`
  const texts = found.map((one) => one.texts.get(name) ?? null)
  if (texts.some(isUnreadable)) return `${label} unreadable watermark`
  const marks = texts.flatMap((text, at) => {
    const mark = decodeWatermark(text)
    return mark ? [{ mark, ageMs: ageMsOf(mark, found[at]?.nowMs ?? 0) }] : []
  })
  if (marks.length < texts.length) return `${label} no watermark`
  const oldestMs = Math.max(...marks.map(({ ageMs }) => ageMs))
  const lowest = marks.map(({ mark }) => mark).reduce(lower)
  const backlog = await readBacklog(databaseUrl, lowest.snapshot, STATUS)
  const lag =
    backlog.events === 0
      ? 'no backlog'
      : `backlog ${backlog.events} events, ${backlog.oldestMs.toFixed(0)} ms`
  return `${label} watermark ${(oldestMs / 1000).toFixed(1)} s old, ${lag}`
}

const lower = (one: Watermark, other: Watermark): Watermark =>
  other.snapshot.xmax < one.snapshot.xmax ? other : one
