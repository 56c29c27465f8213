import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { openWorkerSession } from '../../db/event-log/index.ts'
import { createInvalidatorMetrics } from '../../invalidator/metrics.ts'
import { createWorker } from '../../invalidator/worker.ts'
import {
  createInvalidationStores,
  entryKey,
  openBuckets,
  type Redis,
} from '../../shared/cache/index.ts'
import { createLogger } from '../../shared/logger.ts'
import { createAppInstruments, createRegistry } from '../../shared/metrics.ts'
import { catalog, staffProfile } from '../../shared/resources/index.ts'

// Runs the invalidator's worker without its scheduler, to measure windows alone.
const { DATABASE_URL: url = '', REDIS_URL: redisUrl = '', CACHE_PREFIX: prefix = '' } = process.env
const windows = Number(process.env.WINDOWS)
const drains = Number(process.env.DRAINS)
const BACKLOG = 50_000

const buckets = openBuckets(redisUrl, prefix, {
  name: 'bench',
  commandTimeoutMs: 60_000,
  onState: () => undefined,
})
while (buckets.available < buckets.count) await sleep(10)
const session = await openWorkerSession({
  url,
  applicationName: 'bench',
  statementTimeoutMs: 60_000,
})
const metrics = createInvalidatorMetrics(createAppInstruments(createRegistry()))
const logger = createLogger('bench')
const stores = createInvalidationStores(buckets)
const worker = createWorker({ session, stores, catalog, prefix, metrics, logger })
const writer = new pg.Client({ connectionString: url })
await writer.connect()
worker.acquire(catalog)
// Warms up: the first window finds no watermark and flushes, and later ones run compiled code and cached plans.
for (let i = 0; i < 200; i++) await change(i).then(worker.applyWindow)
await worker.waitForPasses()

const emptyMs = await times(windows, () => timed(worker.applyWindow))
const singleMs = await times(windows, async (i) => {
  await change(i)
  return timed(worker.applyWindow)
})
const flushesBefore = await countFlushes()
const drainMs = await times(drains, async () => {
  await pileUp()
  let applied = 0
  const ms = await timed(async () => {
    while (applied < BACKLOG) applied += await worker.applyWindow()
    await worker.waitForPasses()
  })
  const [first, last] = [placeOf(1), placeOf(BACKLOG)]
  if ((await first.redis.exists(first.key)) + (await last.redis.exists(last.key)) > 0)
    throw new Error('the backlog was applied, but its entries still exist')
  return ms
})
if ((await countFlushes()) > flushesBefore)
  throw new Error('the backlog was flushed instead of invalidated key by key')
process.stdout.write(`${JSON.stringify({ emptyMs, singleMs, drainMs, backlog: BACKLOG })}\n`)
process.exit()

async function countFlushes(): Promise<number> {
  const { values } = await metrics.flushes.get()
  return values.reduce((sum, { value }) => sum + value, 0)
}

async function times(count: number, measure: (i: number) => Promise<number>): Promise<number[]> {
  const all: number[] = []
  for (let i = 0; i < count; i++) all.push(await measure(i))
  return all
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}

async function change(i: number): Promise<void> {
  await writer.query({
    name: 'change',
    text: `update users_publicstaffprofile set expertise = 'window ' || $1 where id = $2`,
    values: [i, (i % 300) + 1],
  })
}

/** Creates as many events as one window invalidates key by key, each of another profile, and their entries. */
async function pileUp(): Promise<void> {
  await change(Date.now())
  // Applies the model event first, so that the window contains only its copies.
  await worker.applyWindow()
  await writer.query(
    `insert into invalidation.event
     select e.segment, pg_current_xact_id(), e.version, e.table_id, e.op, e.changed,
            (select json_build_array(json_agg(k.key))
             from (select n::text as key from json_array_elements(e.keys -> 0)) k), e.at
     from (select * from invalidation.event order by xid desc limit 1) e, generate_series(1, $1) n`,
    [BACKLOG],
  )
  for (let from = 1; from <= BACKLOG; from += 1000) {
    const pipelines = new Map(buckets.servers.map((redis) => [redis, redis.pipeline()]))
    for (let n = from; n < from + 1000; n++) {
      const { redis, key } = placeOf(n)
      pipelines.get(redis)?.hset(key, 'bench', '1')
    }
    await Promise.all([...pipelines.values()].map((pipeline) => pipeline.exec()))
  }
}

/** Returns the key of a profile, and the connection to its server. */
function placeOf(n: number): { readonly redis: Redis; readonly key: string } {
  const key = entryKey(prefix, staffProfile, { profile_id: String(n) })
  const bucket = buckets.bucketOf(key)
  return { redis: buckets.connectionOf(bucket) as Redis, key: buckets.keyIn(bucket, key) }
}
