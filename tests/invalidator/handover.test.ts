import { expect } from 'chai'
import { includes, parseSnapshot, type Snapshot } from '../../db/event-log/index.ts'
import { decodeWatermark } from '../../shared/cache/index.ts'
import type { EventLog } from '../event-log/event-log.ts'
import { createProxy } from '../support/chaos-proxy.ts'
import { recordKeys, startInvalidator, type WrapStore } from '../support/invalidator.ts'
import { until } from '../support/until.ts'
import { bird, BIRDS, entriesOf, openBirds } from './birds.ts'

/** More than one SCAN returns, so that a flush has several steps. */
const ENTRIES = 5_000

/** Pauses a flush of a bucket after the first step that deleted keys, once requested. */
function createPause(bucketOf: () => number) {
  let isAwaited = false
  let held = false
  let release = () => {}
  const wrapInvalidationStore: WrapStore = (invalidationStore, bucket) => ({
    ...invalidationStore,
    apply(advances, between = () => Promise.resolve()) {
      if (!isAwaited || bucket !== bucketOf() || advances.every(({ flush }) => !flush))
        return invalidationStore.apply(advances, between)
      isAwaited = false
      return invalidationStore.apply(advances, async () => {
        const mark = decodeWatermark(await invalidationStore.read('bird'))
        if (!held && mark !== null && mark.part > 0) {
          held = true
          await new Promise<void>((resolve) => (release = resolve))
        }
      })
    },
  })
  return {
    wrapInvalidationStore,
    await: () => void (isAwaited = true),
    get isHolding() {
      return held
    },
    end: () => release(),
    [Symbol.dispose]: () => release(),
  }
}

describe('handover of a resource during a flush', function () {
  this.timeout(30_000)
  let log: EventLog
  let bucket = 0
  before(async () => {
    log = await openBirds()
  })
  after(() => log[Symbol.asyncDispose]())

  async function snapshotNow(): Promise<Snapshot> {
    const { rows } = await log.client.query<{ text: string }>(
      'select pg_current_snapshot()::text as text',
    )
    return parseSnapshot(rows[0]?.text ?? '') as Snapshot
  }

  it('lets the new owner flush from the start, and ignores late commands of the old one', async () => {
    const pause: ReturnType<typeof createPause> = createPause(() => bucket)
    await using proxy = await createProxy(log.url)
    await proxy.listen()
    await using first = startInvalidator({
      databaseUrl: proxy.url,
      catalog: BIRDS,
      applicationName: 'spms-test-first',
      wrapInvalidationStore: pause.wrapInvalidationStore,
    })
    const { prefix, redis, invalidationStore, buckets } = first
    const { key, put, left } = entriesOf(redis, prefix)
    const mark = async () => decodeWatermark(await invalidationStore.read('bird'))
    await until(() => redis.status === 'ready')
    await until(async () => (await mark()) !== null)
    // In a cluster all are in one bucket, since each bucket is flushed by steps of its own.
    bucket = buckets.bucketOf(key(bird, 0))
    const ids: number[] = []
    for (let id = 0; ids.length < ENTRIES; id++) {
      if (buckets.bucketOf(key(bird, id)) === bucket) ids.push(id)
    }
    const keys = ids.map((id) => key(bird, id))
    const [, one, other] = ids
    await put(keys)

    // Disposed of first, so that a test that fails halfway does not wait for the pause.
    using held = pause
    held.await()
    await log.client.query(`select invalidation.flush('bird:*')`)
    const requested = await snapshotNow()
    await until(() => pause.isHolding)
    const halfway = await mark()
    expect(halfway?.part).to.be.above(0)
    expect(includes(halfway?.snapshot as Snapshot, requested), 'the watermark has not advanced').to
      .be.false
    expect((await left(keys)).length).to.be.within(1, ENTRIES - 1)

    const record = recordKeys()
    await using second = startInvalidator({
      databaseUrl: log.url,
      catalog: BIRDS,
      prefix,
      applicationName: 'spms-test-second',
      wrapInvalidationStore: record.wrapInvalidationStore,
    })
    // The first invalidator loses Postgres, and with it its resources, during a step of its
    // flush.
    await proxy[Symbol.asyncDispose]()
    await until(async () => (await redis.exists(keys)) === 0)
    await until(() => record.flushed.length > 0)
    expect(record.flushed).to.eql(['bird'])
    // Entries stored since then are no older than the flush.
    await put(keys)
    await log.client.query(`insert into bird values (${one})`)
    await until(async () => (await left([key(bird, one)])).length === 0)

    pause.end()
    await proxy.listen()
    // It reconnects, and each of the two owns some resources.
    await until(async () => {
      const { rows } = await log.client.query<{ owners: string }>(
        `select count(distinct pid) as owners from pg_locks l join pg_stat_activity using (pid)
         where locktype = 'advisory' and l.mode = 'ExclusiveLock' and l.objsubid = 2
           and application_name in ('spms-test-first', 'spms-test-second')
           and datname = current_database()`,
      )
      return rows[0]?.owners === '2'
    })
    expect(await left(keys)).to.eql(keys.filter((it) => it !== key(bird, one)))
    await log.client.query(`insert into bird values (${other})`)
    await until(async () => (await left([key(bird, other)])).length === 0)
    expect(await left(keys)).to.have.lengthOf(ENTRIES - 2)
    expect(second.working).to.be.true
  })
})
