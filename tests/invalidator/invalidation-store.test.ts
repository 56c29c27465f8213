import { once } from 'node:events'
import { expect } from 'chai'
import { parseSnapshot, type Snapshot } from '../../db/event-log/index.ts'
import {
  type Advance,
  createInvalidationStore,
  decodeWatermark,
  entryKey,
  type InvalidationStore,
  type Place,
  type Redis,
  type ResourceRules,
  type Watermark,
  watermarkKey,
} from '../../shared/cache/index.ts'
import { encodeWatermark } from '../../shared/cache/freshness/watermark.ts'
import { newPrefix, testRedisUrl } from '../support/invalidator.ts'
import { openTestRedis, type TestRedis, untilReady } from '../support/test-redis.ts'
import { rewriteScripts } from '../support/rewritten.ts'

const bird: ResourceRules = { name: 'bird', version: 1, key: 'bird:{id}', staleWhen: [] }
const nest: ResourceRules = { name: 'nest', version: 2, key: 'nest:{id}:birds', staleWhen: [] }
const census: ResourceRules = { name: 'census', version: 1, key: 'census', staleWhen: [] }

const at = (xid: number): Snapshot => parseSnapshot(`${xid}:${xid}:`) as Snapshot
const mark = (xid: number, fields: Partial<Watermark> = {}): Watermark => ({
  incarnation: 'incarnation',
  origin: '1.2.3',
  snapshot: at(xid),
  asOfMs: xid,
  part: 0,
  keyVersion: 1,
  fingerprint: 'rules-1',
  ...fields,
})

describe('watermark encoding', () => {
  it('round-trips', () => {
    for (const one of [
      mark(3),
      mark(9, { snapshot: parseSnapshot('5:9:5,7') as Snapshot, part: 4 }),
    ]) {
      expect(decodeWatermark(encodeWatermark(one))).to.eql(one)
    }
  })

  it('decodes missing, empty and unknown texts as null', () => {
    const nothing = encodeWatermark(mark(3, { snapshot: at(0) }))
    expect(decodeWatermark('incarnation 1.2.3 3:3: 1 0 1 f')).not.to.equal(null)
    for (const text of [
      null,
      '',
      'x',
      nothing,
      'incarnation 1.2.3 3:3: 1 0 1',
      'incarnation 1.2.3 3:3: 1 0 1 f more',
      'incarnation 1.2.3 x 1 0 1 f',
      'incarnation 1.2.3 3:3: x 0 1 f',
    ]) {
      expect(decodeWatermark(text), String(text)).to.equal(null)
    }
  })
})

describe('invalidation store', () => {
  let redis: Redis
  let invalidationStore: InvalidationStore
  let prefix: string

  let opened: TestRedis

  beforeEach(async () => {
    opened = openTestRedis(testRedisUrl(), newPrefix())
    await untilReady(opened.redis)
    ;({ redis, prefix } = opened.buckets.home() as Place)
    invalidationStore = createInvalidationStore(redis, prefix)
  })
  afterEach(async () => {
    const keys = await redis.keys('*')
    const ours = keys.filter((key) => key.includes(prefix))
    if (ours.length > 0) await redis.del(ours)
    opened.redis.disconnect()
  })

  const key = (resource: ResourceRules, id: number | string) =>
    entryKey(prefix, resource, { id: String(id) })

  async function fill(keys: readonly string[]): Promise<void> {
    const pipeline = redis.pipeline()
    for (const one of keys) pipeline.hset(one, 'v', '1')
    await pipeline.exec()
  }
  const left = async (keys: readonly string[]) =>
    (await Promise.all(keys.map(async (one) => ((await redis.exists(one)) ? [one] : [])))).flat()
  const ids = (count: number) => Array.from({ length: count }, (_, id) => id)

  const advance = (resource: ResourceRules, fields: Partial<Advance>): Advance => ({
    resource,
    expected: null,
    next: mark(10),
    keys: new Set(),
    flush: false,
    ...fields,
  })

  it('returns the time of Redis', async () => {
    const before = await invalidationStore.time()
    expect(before).to.be.within(Date.now() - 60_000, Date.now() + 60_000)
    expect(await invalidationStore.time()).to.be.at.least(before)
  })

  it('deletes entries and advances the watermark in one step', async () => {
    await fill([key(bird, 1), key(bird, 2), key(nest, 1)])
    const report = await invalidationStore.apply([
      advance(bird, { keys: new Set([key(bird, 1), key(bird, 9)]) }),
      advance(nest, {}),
    ])
    expect(await left([key(bird, 1), key(bird, 2), key(nest, 1)])).to.eql([
      key(bird, 2),
      key(nest, 1),
    ])
    expect(Object.fromEntries(report.removed)).to.eql({ bird: 1, nest: 0 })
    const text = encodeWatermark(mark(10))
    expect(Object.fromEntries(report.stored)).to.eql({ bird: text, nest: text })
    expect(await invalidationStore.read('bird')).to.equal(text)
    expect(await invalidationStore.read('census')).to.equal(null)
  })

  it('does nothing if the stored watermark differs from the expected one', async () => {
    await invalidationStore.apply([advance(bird, {}), advance(nest, {})])
    const stored = await invalidationStore.read('bird')
    await fill([key(bird, 1), key(nest, 1)])
    const others = encodeWatermark(mark(10, { asOfMs: 11 }))
    for (const expected of [null, '', 'x', others]) {
      const report = await invalidationStore.apply([
        advance(bird, { expected, next: mark(12), keys: new Set([key(bird, 1)]) }),
        advance(nest, { expected: stored, next: mark(10), keys: new Set([key(nest, 1)]) }),
      ])
      expect([...report.stored.keys()], String(expected)).to.eql(['nest'])
      expect(await invalidationStore.read('bird')).to.equal(stored)
      expect(await left([key(bird, 1)])).to.have.lengthOf(1)
    }
    expect(await left([key(nest, 1)])).to.eql([])
  })

  it('advances only the resources of a window whose own watermark is as expected', async () => {
    const start = await invalidationStore.apply([
      advance(bird, {}),
      advance(nest, {}),
      advance(census, {}),
    ])
    const others = encodeWatermark(mark(11))
    await redis.hset(watermarkKey(prefix), 'nest', others)
    await fill([key(bird, 1)])
    const expected = (name: string) => start.stored.get(name) ?? null
    for (const order of [
      [bird, nest, census],
      [nest, census, bird],
    ]) {
      const report = await invalidationStore.apply(
        order.map((one) => advance(one, { expected: expected(one.name), next: mark(10) })),
      )
      expect([...report.stored.keys()]).to.have.members(['bird', 'census'])
      expect(await invalidationStore.read('nest')).to.equal(others)
    }
    const report = await invalidationStore.apply([
      advance(census, { expected: expected('census'), next: mark(12) }),
      advance(nest, { expected: expected('nest'), next: mark(12) }),
      advance(bird, {
        expected: expected('bird'),
        next: mark(12, { keyVersion: 2 }),
        keys: new Set([key(bird, 1)]),
      }),
    ])
    expect(Object.fromEntries(report.removed)).to.eql({ census: 0, bird: 1 })
    expect(await invalidationStore.read('census')).to.equal(encodeWatermark(mark(12)))
    expect(await invalidationStore.read('bird')).to.equal(
      encodeWatermark(mark(12, { keyVersion: 2 })),
    )
  })

  it('would overwrite the watermark of another owner without comparing it', async () => {
    const client = redis.duplicate()
    await once(client, 'ready')
    const unchecked = createInvalidationStore(
      rewriteScripts(client, {
        part: `return (stored[field] or '') == text`,
        by: 'return true',
      }),
      prefix,
    )
    for (const [owner, expectedXid] of [
      [invalidationStore, 30],
      [unchecked, 20],
    ] as const) {
      await redis.hset(watermarkKey(prefix), 'bird', encodeWatermark(mark(30)))
      const expected = encodeWatermark(mark(10))
      await owner.apply([advance(bird, { expected, next: mark(20) })])
      expect(await invalidationStore.read('bird')).to.equal(encodeWatermark(mark(expectedXid)))
    }
    client.disconnect()
  })

  it('does nothing if an expected watermark is missing, for any number of keys and for a flush', async () => {
    const expected = encodeWatermark(mark(5))
    const many = ids(5_000).map((id) => key(bird, id))
    await fill([...many, key(nest, 1), key(census, '')])
    const report = await invalidationStore.apply([
      advance(bird, { expected, keys: new Set(many) }),
      advance(nest, { expected, flush: true }),
      advance(census, { expected, keys: new Set([key(census, '')]) }),
    ])
    expect([...report.stored]).to.eql([])
    expect(await redis.exists(watermarkKey(prefix))).to.equal(0)
    expect(await left([...many, key(nest, 1), key(census, '')])).to.have.lengthOf(5_002)
  })

  describe('with more keys than one script handles', () => {
    const COUNT = 7_001

    async function start() {
      const before = await invalidationStore.apply([advance(bird, { next: mark(5) })])
      const keys = ids(COUNT).map((id) => key(bird, id))
      await fill(keys)
      return { keys, expected: before.stored.get('bird') as string }
    }

    it('works in parts, each of which keeps the old snapshot but changes the stored text', async () => {
      const { keys, expected } = await start()
      const texts: (string | null)[] = [expected]
      const report = await withHook(async () =>
        texts.push(await invalidationStore.read('bird')),
      ).apply([advance(bird, { expected, next: mark(20), keys: new Set(keys) })])
      expect(await left(keys)).to.eql([])
      expect(report.removed.get('bird')).to.equal(COUNT)
      expect(report.stored.get('bird')).to.equal(encodeWatermark(mark(20)))
      expect(await invalidationStore.read('bird')).to.equal(encodeWatermark(mark(20)))
      const marks = texts.map((text) => decodeWatermark(text))
      expect(marks.map((one) => one?.part)).to.eql([0, 1, 2, 3, 4, 0])
      expect(marks.slice(0, -1).map((one) => one?.snapshot.text)).to.eql(Array(5).fill('5:5:'))
    })

    for (const when of ['before it is received', 'after it was applied'] as const) {
      for (const broken of [1, 2, 4, 5]) {
        it(`lets the next owner repeat everything after a crash in part ${broken}, ${when}`, async () => {
          const { keys, expected } = await start()
          const one = advance(bird, { expected, next: mark(20), keys: new Set(keys) })
          const failure = await withCrash(broken, when).apply([one]).catch(String)
          expect(failure).to.equal('Error: crash')

          const found = await invalidationStore.read('bird')
          const { snapshot, part } = decodeWatermark(found) as Watermark
          const done = when === 'after it was applied' ? broken : broken - 1
          // The fifth part stores the new snapshot.
          expect([snapshot.text, part]).to.eql(done === 5 ? ['20:20:', 0] : ['5:5:', done])

          await fill(keys.slice(0, 10))
          const owner = createInvalidationStore(redis, prefix)
          const report = await owner.apply([{ ...one, expected: found, next: mark(21) }])
          expect(report.stored.get('bird')).to.equal(encodeWatermark(mark(21)))
          expect(await left(keys)).to.eql([])
        })
      }
    }

    it('stops when another owner has changed the watermark', async () => {
      const { keys, expected } = await start()
      let parts = 0
      const report = await withHook(async () => {
        if (++parts === 2) await redis.hset(watermarkKey(prefix), 'bird', encodeWatermark(mark(30)))
      }).apply([advance(bird, { expected, next: mark(20), keys: new Set(keys) })])
      expect([...report.stored]).to.eql([])
      expect(await invalidationStore.read('bird')).to.equal(encodeWatermark(mark(30)))
      expect((await left(keys)).length).to.equal(COUNT - 4_000)
    })

    it('stores no valid watermark in the parts of a first flush', async () => {
      const keys = ids(COUNT).map((id) => key(bird, id))
      await fill(keys)
      const failure = await withCrash(3, 'after it was applied')
        .apply([advance(bird, { next: mark(20), flush: true })])
        .catch(String)
      expect(failure).to.equal('Error: crash')
      const text = await invalidationStore.read('bird')
      expect(text).to.be.a('string')
      expect(decodeWatermark(text)).to.equal(null)
      const report = await invalidationStore.apply([
        advance(bird, { expected: text, next: mark(21), flush: true }),
      ])
      expect(report.stored.get('bird')).to.equal(encodeWatermark(mark(21)))
      expect(await left(keys)).to.eql([])
    })

    /** Returns a store that runs `after` after each of its scripts. */
    function withHook(after: () => Promise<unknown>): InvalidationStore {
      const scripted = redis.duplicate() as Redis & Scripts
      const hooked = createInvalidationStore(scripted, prefix)
      const run = scripted.cacheAdvance.bind(scripted)
      scripted.cacheAdvance = async (...args) => {
        if (scripted.status !== 'ready') await once(scripted, 'ready')
        const reply = await run(...args)
        await after()
        return reply
      }
      return ready(scripted, hooked)
    }

    function withCrash(
      script: number,
      when: 'before it is received' | 'after it was applied',
    ): InvalidationStore {
      const scripted = redis.duplicate() as Redis & Scripts
      const crashing = createInvalidationStore(scripted, prefix)
      const run = scripted.cacheAdvance.bind(scripted)
      let count = 0
      scripted.cacheAdvance = async (...args) => {
        const crashes = ++count === script
        if (crashes && when === 'before it is received') throw new Error('crash')
        const reply = await run(...args)
        if (crashes) throw new Error('crash')
        return reply
      }
      return ready(scripted, crashing)
    }

    interface Scripts {
      cacheAdvance(...args: unknown[]): Promise<unknown>
    }

    /** Connects before `apply` and disconnects after it. */
    const ready = (client: Redis, inner: InvalidationStore): InvalidationStore => ({
      ...inner,
      async apply(advances) {
        if (client.status !== 'ready') await once(client, 'ready')
        return inner.apply(advances).finally(() => client.disconnect())
      },
    })
  })

  describe('a flush', () => {
    it('deletes every entry of the resource and no other key', async () => {
      const theirs = ids(2_500).map((id) => key(bird, id))
      const others = [
        key(nest, 1),
        key(census, ''),
        `${prefix}/v2/bird:1`,
        `${prefix}/v11/bird:1`,
        `${prefix}/v1/bird:1:photo`,
        `${prefix}/v1/bird:`,
        `${prefix}/v1/birds:1`,
        `${prefix}/v1/bird`,
        `${prefix}/v1/a:bird:1`,
        `${prefix}:1:bird:1`,
        `${prefix}x/v1/bird:1`,
        `x${prefix}/v1/bird:1`,
      ]
      await fill([...theirs, ...others])
      await invalidationStore.apply([advance(bird, {}), advance(nest, {})])
      const expected = await invalidationStore.read('bird')

      const report = await invalidationStore.apply([
        advance(bird, { expected, next: mark(20), flush: true }),
        advance(nest, { expected, next: mark(20) }),
      ])
      expect(await left(theirs)).to.eql([])
      expect(await left(others)).to.eql(others)
      expect(report.removed.get('bird')).to.equal(2_500)
      expect(report.stored.size).to.equal(2)
    })

    it('scans once for several resources, and skips one with an unexpected watermark', async () => {
      await fill([key(bird, 1), key(nest, 1), key(census, '')])
      await invalidationStore.apply([advance(bird, {})])
      const report = await invalidationStore.apply([
        advance(bird, { expected: 'x', flush: true }),
        advance(nest, { flush: true }),
        advance(census, { flush: true }),
      ])
      expect([...report.stored.keys()]).to.have.members(['nest', 'census'])
      expect(await left([key(bird, 1), key(nest, 1), key(census, '')])).to.eql([key(bird, 1)])
    })

    it('finds entries under a prefix with special characters of SCAN patterns', async () => {
      const strange = `${String.raw`[strange]*?\^`}${prefix}`
      const odd = createInvalidationStore(redis, strange)
      const keys = ['1', '2'].map((id) => entryKey(strange, bird, { id }))
      const other = key(bird, 1)
      await fill([...keys, other])
      await odd.apply([advance(bird, { flush: true })])
      expect(await left([...keys, other])).to.eql([other])
    })
  })

  it('lets two owners alternate, each continuing from the stored watermark', async () => {
    const owners = [createInvalidationStore(redis, prefix), createInvalidationStore(redis, prefix)]
    const known: (string | null)[] = [null, null]
    for (let round = 1; round <= 20; round++) {
      const me = round % 3 === 0 ? 0 : 1
      const owner = owners[me] as InvalidationStore
      await fill([key(bird, round)])
      const attempt = () =>
        owner.apply([
          advance(bird, {
            expected: known[me] ?? null,
            next: mark(round + 100),
            keys: new Set([key(bird, round)]),
          }),
        ])
      let report = await attempt()
      if (!report.stored.has('bird')) {
        expect(await left([key(bird, round)])).to.have.lengthOf(1)
        known[me] = await owner.read('bird')
        report = await attempt()
      }
      known[me] = report.stored.get('bird') ?? null
      expect(await left([key(bird, round)])).to.eql([])
      expect(await invalidationStore.read('bird')).to.equal(encodeWatermark(mark(round + 100)))
    }
  })
})
