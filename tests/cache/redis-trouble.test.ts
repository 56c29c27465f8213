import { expect } from 'chai'
import { type Answer, type EntryStore, TimeBudget } from '../../shared/cache/index.ts'
import { createProxy, type Proxy } from '../support/chaos-proxy.ts'
import { type PrivateRedis, startPrivateRedis } from '../support/private-redis.ts'
import { until } from '../support/until.ts'
import { defineEntity, type Engine, isUsable, openEngine, type TestReader } from './engine.ts'

const COMMAND_MS = 50
const BUDGET_MS = 80
/** A long timeout for tests that do not measure time. */
const CALM_MS = 2_000
/** Tolerance in milliseconds that a busy machine may add to any wait. */
const SLACK_MS = 60

const first = '{"body" : "first", "variant" : "v"}'

const read = ({ reader }: TestReader, id = '1', entity = defineEntity()) =>
  reader.read(entity, { id }, 'v')

/** Counts the commands that a store sends. */
function counting(sent: Record<'find' | 'lease' | 'fill', number>) {
  return (store: EntryStore): EntryStore => ({
    ...store,
    find: (...args) => (sent.find++, store.find(...args)),
    lease: (...args) => (sent.lease++, store.lease(...args)),
    fill: (...args) => (sent.fill++, store.fill(...args)),
  })
}

/** Reads and measures the time from the request to the start of the load. */
async function timeToLoad(from: TestReader): Promise<{ answer: Answer; tookMs: number }> {
  const askedAtMs = performance.now()
  let selectedAtMs = 0
  const entity = defineEntity({ afterSelect: () => (selectedAtMs = performance.now()) })
  const answer = await read(from, '1', entity)
  return { answer, tookMs: selectedAtMs - askedAtMs }
}

describe('the engine with a failing Redis', function () {
  this.timeout(60_000)

  let redis: PrivateRedis
  let engine: Engine

  before(async () => {
    redis = await startPrivateRedis()
    engine = await openEngine(redis.url)
  })
  after(async () => {
    await engine[Symbol.asyncDispose]()
    await redis[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    await until(() => engine.redis.status === 'ready')
    await engine.redis.flushall()
  })

  it('never takes a late reply for that of a later command', async () => {
    const { redis: client } = await engine.openReader()
    await engine.redis.mset('a', 'of a', 'b', 'of b')
    await redis.freeze()
    const late = await Promise.allSettled(Array.from({ length: 20 }, () => client.get('a')))
    expect(late.map(({ status }) => status)).to.deep.equal(Array(20).fill('rejected'))
    await redis.thaw()
    expect(client.status).to.equal('ready')
    expect(await client.get('b')).to.equal('of b')
    expect(await client.get('a')).to.equal('of a')
  })

  it('does not fill under a lease whose reply came after the reader had continued', async () => {
    const sent = { find: 0, lease: 0, fill: 0 }
    const one = await engine.openReader({ wrap: counting(sent) })
    // PAUSE WRITE lets reads through and delays scripts, so the lease is taken after the timeout.
    await engine.redis.client('PAUSE', 2 * COMMAND_MS, 'WRITE')
    const answer = await read(one)
    expect(answer.body?.toString()).to.equal(first)
    expect(answer).to.include({ outcome: 'bypass', detail: 'redis' })
    expect(sent).to.deep.equal({ find: 1, lease: 1, fill: 0 })
    await engine.redis.set('probe', '')
    expect(await engine.redis.hexists(engine.keyOf('1'), 'v')).to.equal(0)
  })

  it('leaves no other reader waiting for a lease whose reply came too late', async () => {
    const one = await engine.openReader()
    await engine.redis.client('PAUSE', 2 * COMMAND_MS, 'WRITE')
    await read(one)
    await engine.redis.set('probe', '')
    const two = await engine.openReader()
    const { answer, tookMs } = await timeToLoad(two)
    expect(answer).to.include({ outcome: 'miss' })
    expect(tookMs).to.be.below(500)
  })

  it('accepts a reply that arrived in time while the event loop was blocked', async () => {
    const one = await engine.openReader()
    await read(one)
    await until(async () => (await engine.redis.exists(engine.keyOf('1'))) === 1)
    const answers = Array.from({ length: 10 }, () => read(one))
    await new Promise(setImmediate)
    const busyUntilMs = performance.now() + 2 * COMMAND_MS
    while (performance.now() < busyUntilMs);
    for (const { outcome } of await Promise.all(answers)) expect(outcome).to.equal('hit')
    expect(isUsable(one.store)).to.equal(true)
  })

  it('still uses Redis for other entries when it answers one with errors', async () => {
    const readers = await Promise.all(
      Array.from({ length: 6 }, () => engine.openReader({ redisTimeoutMs: CALM_MS })),
    )
    const others = ['2', '3', '4', '5']
    const [one] = readers as [TestReader]
    for (const id of others) {
      await until(async () => (await read(one, id)).outcome === 'hit')
    }
    await engine.redis.config('SET', 'maxmemory', '1', 'maxmemory-policy', 'noeviction')
    try {
      // No lease can be stored; Redis answers each request with an error.
      const answers = await Promise.all(
        readers.flatMap((reader) => Array.from({ length: 10 }, (_, n) => read(reader, `${n}-`))),
      )
      for (const answer of answers) expect(answer).to.include({ detail: 'redis' })
      for (const reader of readers) {
        for (const id of others) expect(await read(reader, id)).to.include({ outcome: 'hit' })
      }
    } finally {
      await engine.redis.config('SET', 'maxmemory', '0', 'maxmemory-policy', 'noeviction')
    }
  })

  it('still uses Redis for other entries while six requests read a key that was overwritten by hand', async () => {
    const one = await engine.openReader({ redisTimeoutMs: CALM_MS })
    const others = ['2', '3', '4', '5', '6', '7']
    for (const id of others) await until(async () => (await read(one, id)).outcome === 'hit')
    const outcomes: string[] = []
    for (let round = 0; round < 11; round++) {
      await engine.redis.set(engine.keyOf('1'), 'x')
      const answers = await Promise.all(others.map(() => read(one)))
      for (const { body } of answers) expect(body?.toString()).to.equal(first)
      for (const id of others) outcomes.push((await read(one, id)).outcome)
    }
    expect(new Set(outcomes)).to.deep.equal(new Set(['hit']))
  })

  it('stops using a server that does not execute commands', async () => {
    const one = await engine.openReader()
    await until(async () => (await read(one)).outcome === 'hit')
    const busy = engine.redis.duplicate({ commandTimeout: 60_000 })
    busy.on('error', () => {})
    await until(() => busy.status === 'ready')
    await busy.config('SET', 'lua-time-limit', '5')
    const script = busy.eval('while true do end', 0).catch(() => 'killed')
    await until(async () => (await read(one), !isUsable(one.store)))
    await until(() =>
      engine.redis.script('KILL').then(
        () => true,
        () => false,
      ),
    )
    await script
    await engine.redis.config('SET', 'lua-time-limit', '5000')
    busy.disconnect()
    await until(async () => (await read(one)).outcome === 'hit')
  })

  it('checks the length of a value that did not arrive in time, and replaces one that is too large', async () => {
    const large = await engine.openReader({ redisTimeoutMs: CALM_MS })
    const one = await engine.openReader({ redisTimeoutMs: CALM_MS, maxValueBytes: 10 })
    await until(async () => (await read(large)).outcome === 'hit')
    const fieldOf = (id: string) => ({ key: engine.keyOf(id), variant: 'v' })
    const field = fieldOf('1')
    // A read in time requests no length.
    expect(await one.store.find(field, new TimeBudget(CALM_MS))).to.not.equal(null)
    await redis.freeze()
    const failure = await one.store.find(field, new TimeBudget(50)).catch((error: unknown) => error)
    expect(failure).to.have.property('name', 'StoreUnavailable')
    await redis.thaw()
    await until(() => isUsable(one.store))
    // Until it is replaced, every read checks the length: otherwise a burst would fetch the large
    // value.
    const found = [1, 2, 3].map(() => one.store.find(field, new TimeBudget(CALM_MS)))
    expect(await Promise.all(found)).to.deep.equal([null, null, null])
    const requirement = { incarnation: one.incarnationTracker.incarnation ?? null, oldestMs: 0 }
    const { state } = await one.store.lease(field, 't', requirement, new TimeBudget(CALM_MS))
    expect(state).to.equal('lease')
    const times = { leasedAtMs: 1, freshUntilMs: 2, staleUntilMs: 2 }
    const small = { incarnation: '', ...times, etag: '"x"', body: null }
    expect(await one.store.fill(field, 't', small, CALM_MS)).to.equal('stored')
    for (let find = 0; find < 2; find++) {
      expect(await one.store.find(field, new TimeBudget(CALM_MS))).to.have.property('leasedAtMs', 1)
    }
  })

  describe('when Redis is slow', () => {
    let proxy: Proxy
    before(async () => {
      proxy = await createProxy(redis.url)
      await proxy.listen()
    })
    after(() => proxy[Symbol.asyncDispose]())
    beforeEach(() => {
      proxy.delayMs = 0
    })

    it('waits for one command no longer than its timeout', async () => {
      const one = await engine.openReader({ redisUrl: proxy.url })
      proxy.delayMs = 4 * COMMAND_MS
      const { answer, tookMs } = await timeToLoad(one)
      expect(answer).to.include({ outcome: 'bypass', detail: 'redis' })
      expect(tookMs).to.be.within(COMMAND_MS - 2, COMMAND_MS + SLACK_MS)
    })

    it('waits for all commands of a read no longer than its budget', async () => {
      const sent = { find: 0, lease: 0, fill: 0 }
      const one = await engine.openReader({ redisUrl: proxy.url, wrap: counting(sent) })
      await engine.redis.hset(engine.keyOf('1'), '~v', `other.1:${Date.now() + 4_000}`)
      proxy.delayMs = 25
      const { answer, tookMs } = await timeToLoad(one)
      expect(answer).to.include({ outcome: 'bypass', detail: 'redis' })
      // With a budget per command the reader would keep requesting the lease for one second.
      expect(sent.find + sent.lease).to.be.within(3, 1 + Math.ceil(BUDGET_MS / proxy.delayMs))
      expect(tookMs).to.be.below(BUDGET_MS + 3 * 16 + SLACK_MS)
    })

    it('waits for all reads of a request no longer than one budget', async () => {
      const one = await engine.openReader({ redisUrl: proxy.url, redisTimeoutMs: CALM_MS })
      proxy.delayMs = 2 * CALM_MS
      const budget = one.reader.openBudget()
      const sinceMs = performance.now()
      for (const id of ['1', '2', '3']) {
        const answer = await one.reader.read(defineEntity(), { id }, 'v', budget)
        expect(answer).to.include({ outcome: 'bypass', detail: 'redis' })
      }
      expect(performance.now() - sinceMs).to.be.within(CALM_MS - 2, 2 * CALM_MS)
      expect(budget.leftMs).to.equal(0)
    })

    it('keeps using Redis when commands fail only because the budget is spent', async () => {
      const one = await engine.openReader({ redisUrl: proxy.url })
      proxy.delayMs = 30
      for (let n = 0; n < 10; n++) {
        const budget = one.reader.openBudget()
        budget.begin(0)
        budget.end(BUDGET_MS - 5)
        const answer = await one.reader.read(defineEntity(), { id: '1' }, 'v', budget)
        expect(answer).to.include({ outcome: 'bypass', detail: 'redis' })
      }
      expect(isUsable(one.store)).to.equal(true)
    })

    it('uses Redis while it answers in time', async () => {
      const one = await engine.openReader({ redisUrl: proxy.url })
      proxy.delayMs = 20
      expect(await read(one)).to.include({ outcome: 'miss' })
      await until(async () => (await engine.redis.hexists(engine.keyOf('1'), 'v')) === 1)
      expect(await read(one)).to.include({ outcome: 'hit' })
    })
  })

  describe('when Redis does not answer', () => {
    it('soon stops using Redis and resumes automatically', async () => {
      const one = await engine.openReader()
      await redis.freeze()
      const waits: number[] = []
      await until(async () => {
        const { answer, tookMs } = await timeToLoad(one)
        expect(answer).to.include({ outcome: 'bypass', detail: 'redis' })
        waits.push(tookMs)
        return !isUsable(one.store)
      })
      expect(waits.length).to.be.at.most(5)
      for (let i = 0; i < 20; i++) waits.push((await timeToLoad(one)).tookMs)
      expect(Math.max(...waits)).to.be.below(BUDGET_MS + SLACK_MS)
      expect(waits.filter((ms) => ms >= COMMAND_MS).length).to.be.at.most(6)

      await redis.thaw()
      await until(async () => (await read(one)).outcome === 'hit')
    })

    it('serves no entry that was invalidated meanwhile', async () => {
      const one = await engine.openReader()
      await read(one)
      await until(async () => (await engine.redis.exists(engine.keyOf('1'))) === 1)
      await redis.freeze()
      const gone = engine.redis.unlink(engine.keyOf('1')).catch(() => 'timed out')
      await until(async () => (await read(one), !isUsable(one.store)))
      await redis.thaw()
      await gone
      await until(() => isUsable(one.store))
      expect(await read(one)).to.not.include({ outcome: 'hit' })
    })
  })

  describe('when Redis is down', () => {
    it('answers every request while Redis stops and starts', async () => {
      const one = await engine.openReader()
      await read(one)
      const answers: Answer[] = []
      const enough = new AbortController()
      const reading = (async () => {
        while (!enough.signal.aborted) answers.push(await read(one))
      })()
      const seen = (outcome: Answer['outcome']) => answers.at(-1)?.outcome === outcome
      await until(() => seen('hit'))
      await redis.stop()
      await until(() => seen('bypass'))
      await redis.start()
      await until(() => seen('hit'))
      enough.abort()
      await reading
      expect(new Set(answers.map(({ body }) => body?.toString()))).to.deep.equal(new Set([first]))
    })

    it('connects to Redis later if it was down at the start', async () => {
      await redis.stop()
      const one = await engine.openReader({ withoutRedis: true })
      expect(await read(one)).to.include({ outcome: 'bypass', detail: 'redis' })
      await redis.start()
      await until(async () => (await read(one)).outcome === 'hit')
    })
  })
})
