import { EventEmitter, once } from 'node:events'
import { expect } from 'chai'
import { sql } from 'kysely'
import { type Answer, LoaderBusy, TimeBudget } from '../../shared/cache/index.ts'
import { StoreUnavailable } from '../../shared/cache/entry-store/entry-store.ts'
import { until } from '../support/until.ts'
import { defineEntity, type Engine, openEngine, type TestReader } from './engine.ts'
import type { Resource } from '../../shared/resources/cache.ts'

const MINUTE_MS = 60_000

const textOf = ({ body }: Answer) => body?.toString()

/** Defines an entity whose loader pauses after its SELECT until it is released. */
function pausedEntity(options: Parameters<typeof defineEntity>[0] = {}) {
  let selected = 0
  const gate = new EventEmitter()
  const opened = once(gate, 'open')
  const afterSelect = () => {
    selected++
    return opened
  }
  return {
    resource: defineEntity({ ...options, afterSelect }),
    release: () => gate.emit('open'),
    untilSelected: (count = 1) => until(() => selected >= count),
  }
}

const failWith = (staleIfError: boolean, failure?: Error) =>
  defineEntity({
    staleIfError,
    extras: { expiresInMs: 20 },
    afterSelect: () => (failure ? Promise.reject(failure) : undefined),
  })

describe('reader', function () {
  this.timeout(60_000)

  let engine: Engine
  let one: TestReader
  let two: TestReader
  const entity = defineEntity()

  before(async () => {
    engine = await openEngine()
    one = await engine.openReader()
    two = await engine.openReader()
  })
  after(() => engine[Symbol.asyncDispose]())
  beforeEach(async () => {
    await sql`update entity set body = 'first'`.execute(engine.db)
    await invalidate()
  })

  const read = (from: TestReader, resource: Resource = entity, id = '1', variant = 'v') =>
    from.reader.read(resource, { id }, variant)
  const change = (body: string) => sql`update entity set body = ${body}`.execute(engine.db)
  const invalidate = async () => {
    const keys = await engine.redis.keys(engine.keyOf('*'))
    if (keys.length > 0) await engine.redis.unlink(keys)
  }
  const fieldsOf = (id = '1') => engine.redis.hkeys(engine.keyOf(id))
  const stored = (id = '1', variant = 'v') =>
    until(async () => (await engine.redis.hexists(engine.keyOf(id), variant)) === 1)
  const first = '{"body" : "first", "variant" : "v"}'
  const second = '{"body" : "second", "variant" : "v"}'

  /** Fills an entry and waits until it has expired. */
  async function fillAndExpire(staleIfError: boolean) {
    const fills = await one.fills('stored')
    await read(one, failWith(staleIfError))
    await until(async () => (await one.fills('stored')) > fills)
    const field = { key: engine.keyOf('1'), variant: 'v' }
    const cached = await one.store.find(field, new TimeBudget(10_000))
    await until(async () => {
      // An entry that must not be served stale may already be deleted.
      if (cached === null) return !staleIfError
      // Also waits for Redis' own clock: the process may take it for later than it is.
      const [seconds, micros] = await engine.redis.time()
      const nowMs = Number(seconds) * 1000 + Number(micros) / 1000
      return Math.min(nowMs, one.store.now('')) > cached.freshUntilMs
    })
  }

  it('loads a missing value, stores it and then answers from Redis', async () => {
    const loads = await one.loads()
    const miss = await read(one)
    expect(textOf(miss)).to.equal(first)
    expect(miss).to.include({ outcome: 'miss', ageMs: 0 })
    await stored()
    await change('second')
    for (const reader of [one, two]) {
      const hit = await read(reader)
      expect(textOf(hit)).to.equal(first)
      expect(hit).to.include({ outcome: 'hit', etag: miss.etag })
      expect(hit.ageMs).to.be.within(0, 5_000)
      expect(hit.ttlMs).to.be.within(0.95 * MINUTE_MS - 5_000, MINUTE_MS)
    }
    expect(await one.loads()).to.equal(loads + 1)
  })

  it('stores variants separately and invalidates them together', async () => {
    await read(one, entity, '1', 'v')
    await read(one, entity, '1', 'w')
    await stored('1', 'v')
    await stored('1', 'w')
    expect(textOf(await read(two, entity, '1', 'w'))).to.contain('"w"')
    await change('second')
    await invalidate()
    expect(textOf(await read(two, entity, '1', 'v'))).to.equal(second)
    expect(textOf(await read(two, entity, '1', 'w'))).to.contain('second')
  })

  it('caches for at most one minute that an entity does not exist', async () => {
    const long = defineEntity({ ttlMs: 60 * MINUTE_MS })
    const miss = await read(one, long, 'missing')
    expect(miss).to.include({ outcome: 'miss', body: null })
    await stored('missing')
    const loads = await two.loads()
    expect(await read(two, long, 'missing')).to.include({ outcome: 'hit', body: null })
    expect(await two.loads()).to.equal(loads)
    expect(await engine.redis.pttl(engine.keyOf('missing'))).to.be.at.most(MINUTE_MS)
  })

  it('rate-limits the caching of missing entities', async () => {
    // A long timeout, so that a busy machine does not look like an unavailable Redis: every fill
    // counts here.
    const reader = await engine.openReader({ redisTimeoutMs: 10_000 })
    const ids = Array.from({ length: 1_300 }, (_, i) => `absent-${i}`)
    const startedAtMs = performance.now()
    for (let at = 0; at < ids.length; at += 50) {
      await Promise.all(ids.slice(at, at + 50).map((id) => read(reader, entity, id)))
    }
    const tookS = (performance.now() - startedAtMs) / 1_000
    await until(async () => {
      const counts = await Promise.all(
        ['stored', 'rate_limited'].map((result) => reader.fills(result)),
      )
      return counts.reduce((sum, count) => sum + count, 0) === ids.length
    })
    expect(await reader.fills('stored')).to.be.within(1_000, 1_001 + 100 * tookS)
    // Unused leases are released after the answer.
    const count = async () => (await engine.redis.keys(engine.keyOf('absent-*'))).length
    const kept = await reader.fills('stored')
    await until(async () => (await count()) === kept)
  })

  it('shortens expiries by up to five per cent at random', async () => {
    const ttls: number[] = []
    for (let i = 0; i < 64; i++) {
      const { ttlMs } = await read(one, entity, '1', `jitter ${i}`)
      ttls.push(ttlMs)
    }
    expect(Math.max(...ttls)).to.be.at.most(MINUTE_MS)
    expect(Math.min(...ttls)).to.be.above(0.95 * MINUTE_MS - 1)
    expect(new Set(ttls).size).to.be.above(32)
  })

  it("stores an answer no longer than the loader's expiresInMs", async () => {
    const brief = defineEntity({ extras: { expiresInMs: 30 } })
    expect((await read(one, brief)).ttlMs).to.be.at.most(30)
    await stored()
    await change('second')
    await until(async () => textOf(await read(two, brief)) === second)

    const over = defineEntity({ extras: { expiresInMs: 0 } })
    const answer = await read(one, over, '2')
    expect(answer).to.include({ outcome: 'miss', ttlMs: 0 })
  })

  it('serves an answer with cacheable=false without storing it, and releases the lease', async () => {
    const fleeting = defineEntity({ extras: { cacheable: false } })
    const answer = await read(one, fleeting)
    expect(textOf(answer)).to.equal(first)
    expect(answer).to.include({ outcome: 'miss', ttlMs: 0 })
    await until(async () => (await fieldsOf()).length === 0)
  })

  it('releases the lease when a load fails', async () => {
    const broken = defineEntity({ afterSelect: () => Promise.reject(new Error('broken')) })
    const error = await read(one, broken).catch((e: unknown) => e)
    expect(error).to.be.instanceOf(Error).with.property('message', 'broken')
    await until(async () => (await fieldsOf()).length === 0)
  })

  it('retries a load that lost a deadlock', async () => {
    await sql`create table crossed ()`.execute(engine.db)
    const { resource, release, untilSelected } = pausedEntity()
    const crossing: Resource = {
      ...resource,
      async load(trx, ...rest) {
        const loaded = await resource.load(trx, ...rest)
        await sql`select from crossed`.execute(trx)
        return loaded
      },
    }
    await engine.db.connection().execute(async (other) => {
      await sql`begin`.execute(other)
      // Makes Postgres cancel the load instead of this transaction.
      await sql`set local deadlock_timeout = '1min'`.execute(other)
      await sql`lock table crossed in access exclusive mode`.execute(other)
      const answer = read(one, crossing)
      await untilSelected()
      release()
      await sql`lock table entity in access exclusive mode`.execute(other)
      await sql`commit`.execute(other)
      expect(textOf(await answer)).to.equal(first)
    })
    await untilSelected(2)
  })

  it('rejects with unavailable after a load has lost three deadlocks', async () => {
    let loads = 0
    const losing = defineEntity({
      afterSelect() {
        loads++
        throw Object.assign(new Error('deadlock detected'), { code: '40P01' })
      },
    })
    const error = await read(one, losing).catch((e: unknown) => e)
    expect(error).to.be.instanceOf(LoaderBusy)
    expect((error as Error).message).to.equal(
      'tables were rewritten or locked during every attempt',
    )
    expect(loads).to.equal(3)
  })

  it('neither reads nor fills Redis if caching is off or the resource is not cached', async () => {
    const off = await engine.openReader({ isDisabled: true })
    const partial = await engine.openReader({ isCached: ({ name }) => name !== 'entity' })
    await read(one)
    await stored()
    await change('second')
    for (const reader of [off, partial]) {
      const answer = await read(reader)
      expect(textOf(answer)).to.equal(second)
      expect(answer).to.include({ outcome: 'bypass', detail: 'off' })
      await read(reader, entity, '2')
    }
    expect(await fieldsOf('2')).to.deep.equal([])
  })

  describe('with concurrent requests', () => {
    it('loads once per process and lets all others join', async () => {
      const { resource, release, untilSelected } = pausedEntity()
      const loads = await one.loads()
      const answers = Array.from({ length: 50 }, () => read(one, resource))
      await untilSelected()
      release()
      const outcomes = await Promise.all(answers)
      expect(new Set(outcomes.map(textOf))).to.deep.equal(new Set([first]))
      expect(outcomes.filter(({ collapsed }) => !collapsed)).to.have.length(1)
      expect(await one.loads()).to.equal(loads + 1)
    })

    it('waits for the load of another process', async () => {
      const { resource, release, untilSelected } = pausedEntity()
      const loads = [await one.loads(), await two.loads()] as const
      const holder = read(one, resource)
      await untilSelected()
      const waiting = [read(two, resource), read(two, resource)]
      release()
      expect(textOf(await holder)).to.equal(first)
      for (const answer of await Promise.all(waiting)) {
        expect(textOf(answer)).to.equal(first)
        expect(answer.outcome).to.equal('hit')
      }
      expect([await one.loads(), await two.loads()]).to.deep.equal([loads[0] + 1, loads[1]])
    })

    it('loads without filling when another process holds the lease for longer than a second', async () => {
      await engine.redis.hset(engine.keyOf('1'), '~v', `dead.1:${Date.now() + 4_000}`)
      const startedAtMs = performance.now()
      const answer = await read(one)
      expect(performance.now() - startedAtMs).to.be.within(500, 3_000)
      expect(textOf(answer)).to.equal(first)
      expect(answer.outcome).to.equal('miss')
      expect(await fieldsOf()).to.deep.equal(['~v'])
    })

    it('takes over an expired lease', async () => {
      await engine.redis.hset(engine.keyOf('1'), '~v', 'dead.1:1')
      expect(await read(one)).to.include({ outcome: 'miss' })
      await stored()
    })

    it('rejects all requests that joined a failing load, and loads again for the next', async () => {
      let fail = true
      const { resource, release, untilSelected } = pausedEntity()
      const failing: Resource = {
        ...resource,
        async load(...args) {
          const loaded = await resource.load(...args)
          if (fail) throw new Error('broken')
          return loaded
        },
      }
      const answers = Promise.allSettled([read(one, failing), read(one, failing)])
      await untilSelected()
      release()
      for (const answer of await answers) expect(answer.status).to.equal('rejected')
      fail = false
      expect(textOf(await read(one, failing))).to.equal(first)
    })
  })

  describe('when a change is applied during a load', () => {
    it('serves what was read and does not store it', async () => {
      const { resource, release, untilSelected } = pausedEntity()
      const before = read(one, resource)
      await untilSelected()
      await change('second')
      await invalidate()
      const revoked = await one.fills('revoked')
      release()
      expect(textOf(await before)).to.equal(first)
      await until(async () => (await one.fills('revoked')) > revoked)
      expect(await fieldsOf()).to.deep.equal([])
      expect(textOf(await read(one))).to.equal(second)
    })

    it('lets no later request join the older load', async () => {
      const { resource, release, untilSelected } = pausedEntity()
      const before = read(one, resource)
      await untilSelected()
      await change('second')
      await invalidate()
      const after = read(one, resource)
      await untilSelected(2)
      release()
      expect(textOf(await before)).to.equal(first)
      expect(textOf(await after)).to.equal(second)
      await stored()
      expect(textOf(await read(two))).to.equal(second)
    })
  })

  describe('when Redis is slow', () => {
    it('loads without filling when the lease reply came too late', async () => {
      let fills = 0
      const late = await engine.openReader({
        wrap: (store) => ({
          ...store,
          async lease(...args) {
            const reply = await store.lease(...args)
            expect(reply.state).to.equal('lease')
            throw new StoreUnavailable('too late')
          },
          fill: (...args) => {
            fills++
            return store.fill(...args)
          },
        }),
      })
      const answer = await read(late)
      expect(textOf(answer)).to.equal(first)
      expect(answer).to.include({ outcome: 'bypass', detail: 'redis' })
      expect(fills).to.equal(0)
      expect(await engine.redis.hexists(engine.keyOf('1'), 'v')).to.equal(0)
    })

    it('answers although the fill fails, and reports the error', async () => {
      const failure = new StoreUnavailable('gone')
      const reader = await engine.openReader({
        wrap: (store) => ({ ...store, fill: () => Promise.reject(failure) }),
      })
      expect(textOf(await read(reader))).to.equal(first)
      await until(() => reader.fillErrors.length > 0)
      expect(reader.fillErrors).to.deep.equal([failure])
    })
  })

  describe('when a load fails', () => {
    const unavailable = Object.assign(new Error('connection lost'), { code: '08006' })
    it('serves an expired entry if staleIfError is set and Postgres is unavailable', async () => {
      await fillAndExpire(true)
      const answer = await read(one, failWith(true, unavailable))
      expect(textOf(answer)).to.equal(first)
      expect(answer).to.include({ outcome: 'stale', detail: 'error' })
      expect(answer.ttlMs).to.be.below(0)
    })

    it('serves an expired entry if staleIfError is set and too many loads are queued', async () => {
      await fillAndExpire(true)
      const busy = new LoaderBusy()
      expect(await read(one, failWith(true, busy))).to.include({ outcome: 'stale' })
    })

    it('serves no expired entry without staleIfError', async () => {
      await fillAndExpire(false)
      const error = await read(one, failWith(false, unavailable)).catch((e: unknown) => e)
      expect(error).to.equal(unavailable)
    })

    it('serves no expired entry when Postgres rejects the query', async () => {
      await fillAndExpire(true)
      const error = await read(one, {
        ...failWith(true),
        async load(trx) {
          await sql`select dropped_column from entity`.execute(trx)
          return null
        },
      }).catch((e: unknown) => e)
      expect(error).to.have.property('code', '42703')
    })

    it('serves no expired entry that was invalidated', async () => {
      await fillAndExpire(true)
      await invalidate()
      const error = await read(one, failWith(true, unavailable)).catch((e: unknown) => e)
      expect(error).to.equal(unavailable)
    })

    it('keeps an expired entry for five minutes with staleIfError only', async () => {
      await read(one, failWith(true))
      await stored()
      expect(await engine.redis.pttl(engine.keyOf('1'))).to.be.within(
        4 * MINUTE_MS,
        5 * MINUTE_MS + 20,
      )
      await read(one, failWith(false), '2')
      await stored('2')
      expect(await engine.redis.pttl(engine.keyOf('2'))).to.be.at.most(5_000)
    })
  })
})
