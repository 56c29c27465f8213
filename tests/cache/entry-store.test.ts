import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import {
  bareUuid,
  type CachedValue,
  type EntryStore,
  etagOf,
  TimeBudget,
} from '../../shared/cache/index.ts'
import { encodeValue } from '../../shared/cache/entry-store/cached-value.ts'
import { type Engine, openEngine } from './engine.ts'

const MINUTE_MS = 60_000
/** Time-out of a command. A busy machine must not look like an unavailable Redis here. */
const PATIENT_MS = 5_000
const budget = () => new TimeBudget(10_000)
const incarnation = bareUuid(randomUUID())

describe('entry store', () => {
  let engine: Engine
  let store: EntryStore
  let key: string
  let entries = 0

  before(async function () {
    this.timeout(60_000)
    engine = await openEngine()
    ;({ store } = await engine.openReader({ redisTimeoutMs: PATIENT_MS }))
  })
  after(() => engine[Symbol.asyncDispose]())
  beforeEach(() => {
    key = engine.keyOf(`store-${++entries}`)
  })

  const at = (variant = 'v') => ({ key, variant })
  const lease = (
    leaseId: string,
    variant?: string,
    oldestMs = 0,
    incarnationTracker = incarnation,
  ) => store.lease(at(variant), leaseId, { incarnation: incarnationTracker, oldestMs }, budget())
  const stateOf = async (...args: Parameters<typeof lease>) => (await lease(...args)).state
  const ttlMs = () => engine.redis.pttl(key)

  /**
   * The store's time may be a few milliseconds ahead of Redis, and Redis rejects future times.
   */
  const aLittleAgo = () => store.now('') - 1_000

  function valueOf(
    text: string | null,
    leasedAtMs = aLittleAgo(),
    freshMs = MINUTE_MS,
  ): CachedValue {
    const body = text === null ? null : Buffer.from(text)
    return {
      incarnation,
      leasedAtMs,
      freshUntilMs: leasedAtMs + freshMs,
      staleUntilMs: leasedAtMs + 2 * freshMs,
      etag: etagOf(body),
      body,
    }
  }

  async function fill(
    leaseId: string,
    variant?: string,
    cached = valueOf('body'),
    keepMs = MINUTE_MS,
  ) {
    return store.fill(at(variant), leaseId, cached, keepMs)
  }

  it('returns null for a missing value, and a stored value byte for byte', async () => {
    expect(await store.find(at(), budget())).to.equal(null)
    for (const text of ['{"name":"Ngurra \u0000 ✓"}', '', null]) {
      const cached = valueOf(text)
      const variant = `text ${text}`
      expect(await stateOf('t', variant)).to.equal('lease')
      expect(await fill('t', variant, cached)).to.equal('stored')
      expect(await store.find(at(variant), budget())).to.deep.equal(cached)
    }
  })

  describe('finds of the same field', () => {
    /** Returns the number of HGETs that Redis executed. */
    async function hgets(): Promise<number> {
      const stats = await engine.redis.info('commandstats')
      const counts = [...stats.matchAll(/cmdstat_hget:calls=(\d+)/g)]
      return counts.reduce((sum, [, calls]) => sum + Number(calls), 0)
    }

    it('share one command if all begin before it is sent', async () => {
      const cached = valueOf('shared')
      await lease('t')
      await fill('t', 'v', cached)
      const before = await hgets()
      const found = await Promise.all(Array.from({ length: 20 }, () => store.find(at(), budget())))
      for (const value of found) expect(value).to.deep.equal(cached)
      expect(await hgets()).to.equal(before + 1)
    })

    it('do not share a command that is sent, which could show a state from before they begin', async () => {
      await lease('t')
      await fill('t')
      const before = await hgets()
      const first = store.find(at(), budget())
      // Finds of the next turn of the event loop begin after the write, before any reply can be read.
      const second = new Promise<CachedValue | null>((resolve, reject) => {
        setImmediate(() => void store.find(at(), budget()).then(resolve, reject))
      })
      await Promise.all([first, second])
      expect(await hgets()).to.equal(before + 2)
    })

    it('do not share a command that has less time than they have', async () => {
      const before = await hgets()
      const short = store.find(at(), new TimeBudget(PATIENT_MS / 2))
      await Promise.all([short, store.find(at(), budget()), store.find(at(), budget())])
      expect(await hgets()).to.equal(before + 2)
    })

    it('charge the wait to the budget of each', async () => {
      const budgets = [budget(), budget()]
      await Promise.all(budgets.map((each) => store.find(at(), each)))
      for (const { leftMs } of budgets) expect(leftMs).to.be.within(0, 9_999.999)
    })
  })

  it('treats an unreadable value as absent', async () => {
    await engine.redis.hset(key, 'v', 'not a cached value')
    expect(await store.find(at(), budget())).to.equal(null)
    expect(await stateOf('t')).to.equal('lease')
  })

  it('grants a lease once and returns the id of the current holder to others', async () => {
    expect(await stateOf('first.1')).to.equal('lease')
    expect(await lease('second.1')).to.include({ state: 'held', leaseId: 'first.1' })
    expect(await stateOf('second.2', 'another variant')).to.equal('lease')
  })

  it('grants an expired lease again and then rejects the fill of its first holder', async () => {
    await lease('slow.1')
    await engine.redis.hset(key, '~v', 'slow.1:1')
    expect(await stateOf('next.1')).to.equal('lease')
    expect(await fill('slow.1')).to.equal('revoked')
    expect(await fill('next.1')).to.equal('stored')
  })

  it('returns the current time with every reply', async () => {
    const { nowMs } = await lease('t')
    expect(nowMs).to.be.closeTo(store.now(''), 1_000)
  })

  it('answers a lease request with the value if it has been stored meanwhile', async () => {
    await lease('a')
    const cached = valueOf('appeared')
    await fill('a', 'v', cached)
    const reply = await lease('b')
    expect(reply).to.deep.include({ state: 'hit', cached })
  })

  it('grants a lease if the value has expired or is older than the requester accepts', async () => {
    // Uses Redis' own time: a value leased one millisecond in the future is rejected.
    const { nowMs } = await lease('a')
    await fill('a', 'v', valueOf('old', nowMs - 1_000, 900))
    expect(await stateOf('b')).to.equal('lease')
    await fill('b', 'v', valueOf('young', nowMs))
    expect(await stateOf('c', 'v', nowMs + 1)).to.equal('lease')
    expect(await stateOf('d', 'v', nowMs)).to.equal('hit')
  })

  it('grants a lease if the value belongs to another incarnation than the requester accepts', async () => {
    await lease('a')
    await fill('a', 'v', valueOf('of this incarnation'))
    expect(await stateOf('b', 'v', 0, bareUuid(randomUUID()))).to.equal('lease')
    await store.release(at(), 'b')
    expect(await stateOf('c')).to.equal('hit')
    const { state } = await store.lease(at(), 'd', { incarnation: null, oldestMs: 0 }, budget())
    expect(state).to.equal('lease')
  })

  it('rejects a fill after its entry was invalidated', async () => {
    await lease('t')
    await engine.redis.unlink(key)
    expect(await fill('t')).to.equal('revoked')
    expect(await engine.redis.exists(key)).to.equal(0)
  })

  it('rejects a fill after an invalidation even if another process holds the lease', async () => {
    await lease('before')
    await engine.redis.unlink(key)
    expect(await stateOf('after')).to.equal('lease')
    expect(await fill('before')).to.equal('revoked')
    expect(await fill('after')).to.equal('stored')
  })

  it('accepts one fill per lease', async () => {
    await lease('t')
    expect(await fill('t')).to.equal('stored')
    expect(await fill('t')).to.equal('revoked')
  })

  it('releases only a lease with the given id and deletes the empty key', async () => {
    await lease('t')
    await store.release(at(), 'another')
    expect(await stateOf('u')).to.equal('held')
    await store.release(at(), 't')
    expect(await engine.redis.exists(key)).to.equal(0)
    expect(await fill('t')).to.equal('revoked')
  })

  it('does not confuse a lease id with a longer one that starts with it', async () => {
    await lease('p.1')
    expect(await fill('p')).to.equal('revoked')
    expect(await fill('p.11')).to.equal('revoked')
    expect(await fill('p.1')).to.equal('stored')
  })

  it('holds at most 64 variants in an entry and evicts any of them for a new one', async () => {
    for (let i = 1; i <= 64; i++) {
      await lease('t', `v${i}`)
      expect(await fill('t', `v${i}`)).to.equal('stored')
    }
    expect(await stateOf('t', 'v65')).to.equal('lease')
    expect(await fill('t', 'v65')).to.equal('stored')
    expect(await engine.redis.hlen(key)).to.equal(64)
    expect(await engine.redis.hexists(key, 'v65')).to.equal(1)

    const fields = await engine.redis.hkeys(key)
    const later = store.now('') + 1
    expect(await stateOf('t', 'v65', later)).to.equal('lease')
    expect(await fill('t', 'v65')).to.equal('stored')
    expect(await engine.redis.hkeys(key)).to.have.members(fields)
  })

  describe('with reserved variants', () => {
    const reserved = ['first', 'second']
    const field = (variant: string) => ({ key, variant, reserved })
    const put = async (variant: string) => {
      await store.lease(field(variant), 't', { incarnation, oldestMs: 0 }, budget())
      return store.fill(field(variant), 't', valueOf(variant), MINUTE_MS)
    }

    it('stores a reserved variant in a full entry and never evicts it for others', async () => {
      for (let i = 1; i <= 64; i++) await put(`v${i}`)
      for (const variant of reserved) expect(await put(variant)).to.equal('stored')
      for (let i = 65; i <= 200; i++) expect(await put(`v${i}`)).to.equal('stored')
      expect(await engine.redis.hlen(key)).to.equal(64)
      for (const variant of reserved) {
        expect(await store.find(field(variant), budget())).to.not.equal(null)
      }
    })

    it('grants a lease for a reserved variant when all other leases are taken', async () => {
      for (let i = 1; i <= 128; i++) await lease('t', `v${i}`)
      expect(await stateOf('t', 'v129')).to.equal('full')
      expect(await put('first')).to.equal('stored')
    })
  })

  it('reassigns expired leases of dead processes when an entry has too many leases', async () => {
    const dead = Array.from({ length: 128 }, (_, i) => [`~v${i}`, `dead.${i}:1`]).flat()
    await engine.redis.hset(key, ...dead)
    expect(await stateOf('t', 'v')).to.equal('lease')
    expect(await engine.redis.hlen(key)).to.equal(1)
  })

  it('limits one entry to the bytes of 8 values of the maximum size', async () => {
    const small = await engine.openReader({ maxValueBytes: 1_000, redisTimeoutMs: PATIENT_MS })
    const text = 'x'.repeat(900)
    for (let i = 1; i <= 30; i++) {
      await small.store.lease(at(`v${i}`), 't', { incarnation, oldestMs: 0 }, budget())
      expect(await small.store.fill(at(`v${i}`), 't', valueOf(text), MINUTE_MS)).to.equal('stored')
    }
    expect(await engine.redis.hexists(key, 'v30')).to.equal(1)
    expect(await engine.redis.hlen(key)).to.be.within(7, 8)
  })

  it('treats a value above the size limit as absent when a lease is requested', async () => {
    const small = await engine.openReader({ maxValueBytes: 1_000, redisTimeoutMs: PATIENT_MS })
    await lease('t')
    await fill('t', 'v', valueOf('x'.repeat(1_001)))
    const requirement = { incarnation, oldestMs: 0 }
    expect(await stateOf('u')).to.equal('hit')
    expect((await small.store.lease(at(), 'u', requirement, budget())).state).to.equal('lease')
  })

  it('stores a variant despite many leases of others while there is room', async () => {
    for (let i = 1; i <= 100; i++) await lease('t', `v${i}`)
    expect(await fill('t', 'v100')).to.equal('stored')
  })

  it('grants at most 128 leases per entry', async () => {
    for (let i = 1; i <= 128; i++) expect(await stateOf('t', `v${i}`)).to.equal('lease')
    expect(await stateOf('t', 'v129')).to.equal('full')
    expect(await stateOf('u', 'v128')).to.equal('held')
    await store.release(at('v1'), 't')
    expect(await stateOf('t', 'v129')).to.equal('lease')
  })

  describe('expiry', () => {
    it('sets the expiry of a new key to the duration of the lease', async () => {
      await lease('t')
      expect(await ttlMs()).to.be.within(3_000, 5_000)
    })

    it('sets the expiry of a filled key to the time for which the value is usable', async () => {
      await lease('t')
      await fill('t', 'v', valueOf('body'), MINUTE_MS)
      expect(await ttlMs()).to.be.within(MINUTE_MS - 3_000, MINUTE_MS)
    })

    it('never shortens the expiry, neither for a lease nor for a shorter-lived value', async () => {
      await lease('t')
      await fill('t', 'v', valueOf('body'), 10 * MINUTE_MS)
      await lease('t', 'w')
      expect(await ttlMs()).to.be.above(9 * MINUTE_MS)
      await fill('t', 'w', valueOf('body'), MINUTE_MS)
      expect(await ttlMs()).to.be.above(9 * MINUTE_MS)
    })

    it('sets an expiry on a key that has none', async () => {
      await engine.redis.hset(key, 'w', 'stray')
      await lease('t')
      expect(await ttlMs()).to.be.within(3_000, 5_000)
      await engine.redis.persist(key)
      await fill('t')
      expect(await ttlMs()).to.be.within(MINUTE_MS - 3_000, MINUTE_MS)
    })
  })

  it('stores values in the documented encoding', async () => {
    const cached = valueOf('body')
    await lease('t')
    await fill('t', 'v', cached)
    expect(await engine.redis.hgetBuffer(key, 'v')).to.deep.equal(encodeValue(cached))
  })
})
