import { expect } from 'chai'
import { sql } from 'kysely'
import { findIncarnation, parseSnapshot, type Snapshot } from '../../db/event-log/index.ts'
import {
  type CachedValue,
  clockKey,
  decodeValue,
  etagOf,
  readClockOffset,
  type Place,
  type Redis,
  TimeBudget,
  watermarkKey,
} from '../../shared/cache/index.ts'
import { createClock } from '../../shared/cache/redis/clock.ts'
import { encodeValue } from '../../shared/cache/entry-store/cached-value.ts'
import { encodeWatermark } from '../../shared/cache/freshness/watermark.ts'
import { newPrefix, testRedisUrl } from '../support/invalidator.ts'
import { type ClockedRedis, startClockedRedis } from '../support/clocked-redis.ts'
import { openTestRedis, type TestRedis, untilReady } from '../support/test-redis.ts'
import { until } from '../support/until.ts'
import { defineEntity, type Engine, openEngine, type TestReader } from './engine.ts'

const BOUND_MS = 1_500
const MINUTE_MS = 60_000
const entity = defineEntity({ ttlMs: 60 * MINUTE_MS })

describe('monotonic clock in Redis', function () {
  this.timeout(60_000)
  let redis: Redis
  let prefix: string
  let time: () => Promise<number>

  let opened: TestRedis

  beforeEach(async () => {
    opened = openTestRedis(testRedisUrl(), newPrefix())
    await untilReady(opened.redis)
    ;({ redis, prefix } = opened.buckets.home() as Place)
    time = createClock(redis, prefix)
  })
  afterEach(async () => {
    await redis.del(clockKey(prefix))
    opened.redis.disconnect()
  })

  it('agrees with TIME as long as TIME never stepped back', async () => {
    const before = Date.now()
    expect(await time()).to.be.within(before - 5_000, before + 5_000)
    expect(await readClockOffset(redis, prefix)).to.equal(0)
  })

  it('continues from the last time it returned when TIME is behind that', async () => {
    const last = (await time()) + 600_000
    await redis.set(clockKey(prefix), `0 ${last}`)
    expect(await time()).to.be.within(last, last + 1_000)
    expect(await readClockOffset(redis, prefix)).to.be.within(590_000, 600_000)
    const first = await time()
    await until(async () => (await time()) >= first + 100)
  })

  for (const value of ['x', '', '1', '-5 7', '0 nan', '0 inf', `0 ${'9'.repeat(400)}`, '0 1 2']) {
    it(`replaces the invalid stored value "${value.slice(0, 8)}"`, async () => {
      await redis.set(clockKey(prefix), value)
      expect(await time()).to.be.within(Date.now() - 5_000, Date.now() + 5_000)
      expect(await redis.get(clockKey(prefix))).to.match(/^0 \d{13}$/)
    })
  }

  it('replaces a key of another type', async () => {
    await redis.lpush(clockKey(prefix), 'x')
    expect(await time()).to.be.within(Date.now() - 5_000, Date.now() + 5_000)
    expect(await redis.type(clockKey(prefix))).to.equal('string')
  })
})

describe('readers of a Redis server whose clock steps', function () {
  this.timeout(120_000)
  let server: ClockedRedis
  let engine: Engine
  let reader: TestReader
  let id = 0

  before(async function () {
    const started = await startClockedRedis().catch(() => undefined)
    if (started === undefined) this.skip()
    server = started
    engine = await openEngine(server.url)
    reader = await engine.openReader({ maxStalenessMs: BOUND_MS })
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    await server.stepTo(0)
    await engine.redis.flushdb()
    // The reader keeps the last Redis time and writes it back to the clock key.
    const time = createClock(engine.redis, engine.prefix)
    await until(async () => Math.abs((await time()) - reader.store.now('')) < 100)
    await sql`insert into entity values (${String(++id + 100)}, 'first')`.execute(engine.db)
  })

  const read = async () => (await reader.reader.read(entity, { id: String(id + 100) }, 'v')).outcome
  const key = () => engine.keyOf(String(id + 100))

  /**
   * Publishes one watermark and no further one, like an invalidator that dies immediately
   * afterwards.
   */
  async function publish(): Promise<void> {
    const { rows } = await sql<{ text: string }>`
      select pg_current_snapshot()::text as text`.execute(engine.db)
    const asOfMs = await createClock(engine.redis, engine.prefix)()
    const mark = encodeWatermark({
      incarnation: (await findIncarnation(engine.db)) ?? '',
      origin: '1.2.3',
      snapshot: parseSnapshot(rows[0]?.text ?? '') as Snapshot,
      asOfMs,
      part: 0,
      keyVersion: 1,
      fingerprint: 'rules-1',
    })
    await engine.redis.hset(watermarkKey(engine.prefix), 'entity', mark)
    await until(() => reader.store.watermark('entity', '')?.asOfMs === asOfMs)
  }

  for (const stepMs of [10_000, 600_000]) {
    it(`serves nothing older than the bound after a step back of ${stepMs / 1000} s without an invalidator`, async () => {
      const publishingAtMs = performance.now()
      await publish()
      expect(await read()).to.equal('miss')
      await until(async () => (await read()) === 'hit')
      const leasedAtMs = performance.now()
      await server.stepTo(-stepMs)
      await until(async () => (await read()) !== 'hit' || performance.now() - leasedAtMs > 6_000)
      // The staleness bound started between these two times.
      expect(performance.now() - publishingAtMs).to.be.above(BOUND_MS - 250)
      expect(performance.now() - leasedAtMs).to.be.below(BOUND_MS + 1_500)
      // The entry is cached again: it is loaded once per bound.
      await until(async () => (await read()) === 'hit')
    })
  }

  it('keeps a running process on time when TIME steps back while Redis rejects writes', async () => {
    await publish()
    const before = reader.store.now('')
    const atMs = performance.now()
    await engine.redis.config('SET', 'maxmemory', '1')
    await server.stepTo(-600_000)
    await until(() => performance.now() - atMs > 1_000)
    expect(reader.store.now('') - before).to.be.within(900, 3_000)
    await engine.redis.config('SET', 'maxmemory', '0')
    const time = createClock(engine.redis, engine.prefix)
    await until(async () => (await time()) - before >= 1_000)
    expect((await time()) - before).to.be.below(60_000)
  })

  it('only makes entries look older when TIME steps forward', async () => {
    await publish()
    expect(await read()).to.equal('miss')
    await server.stepTo(600_000)
    await until(async () => (await read()) === 'miss')
    await until(async () => (await read()) === 'hit')
  })

  it('does not prolong a lease when TIME steps back', async () => {
    await publish()
    const requirement = { incarnation: null, oldestMs: 0 }
    const lease = (leaseId: string) =>
      reader.store.lease({ key: key(), variant: 'v' }, leaseId, requirement, new TimeBudget(5_000))
    expect((await lease('dead.1')).state).to.equal('lease')
    const atMs = performance.now()
    await server.stepTo(-600_000)
    await until(async () => (await lease('next.1')).state === 'lease')
    expect(performance.now() - atMs).to.be.below(10_000)
  })

  describe('after entries were restored or corrupted', () => {
    const now = () => reader.store.now('')
    async function put(times: (nowMs: number) => Partial<CachedValue>): Promise<void> {
      const nowMs = now()
      const body = Buffer.from('"old"')
      const leasedAtMs = nowMs - 1_000
      const cached = {
        incarnation: (await findIncarnation(engine.db)) ?? '',
        leasedAtMs,
        freshUntilMs: leasedAtMs + entity.ttlMs,
        staleUntilMs: leasedAtMs + entity.ttlMs,
        etag: etagOf(body),
        body,
        ...times(nowMs),
      }
      await engine.redis.hset(key(), 'v', encodeValue(cached))
    }

    it('serves an entry with valid times as a hit', async () => {
      await publish()
      await put(() => ({}))
      expect(await read()).to.equal('hit')
    })

    for (const [what, times] of [
      [
        'leased in the future',
        (nowMs) => ({ leasedAtMs: nowMs + 5_000, freshUntilMs: nowMs + 9_000 }),
      ],
      ['leased at NaN', () => ({ leasedAtMs: NaN })],
      ['leased at infinity', () => ({ leasedAtMs: Infinity, freshUntilMs: Infinity })],
      ['leased at a negative time', () => ({ leasedAtMs: -1 })],
      ['fresh until NaN', () => ({ freshUntilMs: NaN })],
      ['fresh for ever', () => ({ freshUntilMs: Infinity })],
      ['fresh for longer than its resource', (nowMs) => ({ freshUntilMs: nowMs + 61 * MINUTE_MS })],
    ] as readonly (readonly [string, (nowMs: number) => Partial<CachedValue>])[]) {
      it(`reloads and replaces an entry that is ${what}`, async () => {
        await publish()
        await put(times)
        expect(await read()).to.equal('miss')
        await until(async () => (await read()) === 'hit')
        const cached = decodeValue(await engine.redis.hgetBuffer(key(), 'v'))
        expect(cached?.body?.toString()).to.contain('first')
      })
    }

    it('ignores a watermark from the future', async () => {
      await publish()
      const text = await engine.redis.hget(watermarkKey(engine.prefix), 'entity')
      const future = text?.replace(/ (\d{13}) /, (_, ms) => ` ${Number(ms) + 3_600_000} `) ?? ''
      await put((nowMs) => ({ leasedAtMs: nowMs - 2 * BOUND_MS, freshUntilMs: nowMs + MINUTE_MS }))
      expect(await read()).to.equal('hit')
      await engine.redis.hset(watermarkKey(engine.prefix), 'entity', future)
      await until(() => (reader.store.watermark('entity', '')?.asOfMs ?? 0) > now() + MINUTE_MS)
      expect(await read()).to.equal('miss')
    })
  })
})
