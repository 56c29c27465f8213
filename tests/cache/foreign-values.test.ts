import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { sql } from 'kysely'
import {
  type CachedValue,
  createInvalidationStore,
  createVerifier,
  type Place,
  decodeValue,
  decodeWatermark,
  entryKey,
  etagOf,
  TimeBudget,
  watermarkKey,
} from '../../shared/cache/index.ts'
import { encodeValue } from '../../shared/cache/entry-store/cached-value.ts'
import { NOTHING_SEEN } from '../../shared/cache/freshness/watermark.ts'
import { testRedisUrl } from '../support/invalidator.ts'
import { openTestRedis, untilReady, withoutAnyBucket } from '../support/test-redis.ts'
import { until } from '../support/until.ts'
import { defineEntity, type Engine, isUsable, openEngine, type TestReader } from './engine.ts'

const entity = defineEntity()
const STORED_SIZE = 58
/** Long enough for large replies on a busy machine. */
const PATIENT_MS = 1_500
const YEAR_MS = 365 * 86_400_000

/** Commands that store a value of another Redis type at a key. */
const TYPES: Readonly<Record<string, readonly string[]>> = {
  string: ['SET', 'KEY', 'x'],
  list: ['RPUSH', 'KEY', 'x'],
  set: ['SADD', 'KEY', 'x'],
  'sorted set': ['ZADD', 'KEY', '1', 'x'],
  stream: ['XADD', 'KEY', '*', 'a', 'b'],
}

describe('entry key', () => {
  it('never equals a key that Django derives from prefix, version and key', () => {
    const user = { key: 'user:{user_id}:profile', version: 1 }
    for (const prefix of ['spms-api', 'spms', 'a.b-c_d']) {
      const key = entryKey(prefix, user, { user_id: '5' })
      // Django could only produce this key with a prefix that contains a slash; the old prefix
      // has none.
      expect(key).to.equal(`${prefix}/v1/user:5:profile`)
      expect(key.slice(0, key.indexOf(':'))).to.contain('/')
      expect(watermarkKey(prefix)).to.not.contain(':')
    }
  })
})

describe('values written by other programs', function () {
  this.timeout(60_000)
  let engine: Engine
  let reader: TestReader
  let patient: TestReader
  let id = ''
  let count = 0

  before(async () => {
    engine = await openEngine()
    reader = await engine.openReader()
    patient = await engine.openReader({ redisTimeoutMs: PATIENT_MS })
  })
  after(() => engine[Symbol.asyncDispose]())
  beforeEach(async () => {
    id = `foreign-${++count}`
    await sql`insert into entity values (${id}, 'first')`.execute(engine.db)
  })

  const key = () => engine.keyOf(id)
  const call = (words: readonly string[], at: string) => {
    const [command = '', ...args] = words.map((word) => (word === 'KEY' ? at : word))
    return engine.redis.call(command, ...args)
  }
  const read = async (from = reader, of = id) =>
    (await from.reader.read(entity, { id: of }, 'v')).outcome
  /** Writes a large field on a connection with a long timeout. */
  async function putLarge(at: string, field: string, bytes: number): Promise<void> {
    const { redis } = openTestRedis(testRedisUrl(), engine.prefix, { commandTimeoutMs: 60_000 })
    await untilReady(redis)
    await redis.hset(at, field, Buffer.alloc(bytes))
    redis.disconnect()
  }
  /** Opens the store of the bucket of the entry. */
  function openStore() {
    const { redis, prefix } = engine.buckets.place(key()) as Place
    return createInvalidationStore(redis, prefix)
  }
  const fieldAt = (at: string) => ({ key: at, variant: 'v' })
  const heals = async (from = reader) => {
    expect(await read(from)).to.equal('miss')
    await until(async () => (await read(from)) === 'hit')
    const cached = decodeValue(await engine.redis.hgetBuffer(key(), 'v'))
    expect(cached?.body?.toString()).to.contain('first')
  }

  for (const [type, words] of Object.entries(TYPES)) {
    it(`replaces a ${type} at the key of an entry with the entry`, async () => {
      await call(words, key())
      await heals()
      expect(await engine.redis.pttl(key())).to.be.above(0)
    })

    it(`revokes the lease of a pending fill when a ${type} replaces the entry`, async () => {
      const field = fieldAt(key())
      const requirement = { incarnation: null, oldestMs: 0 }
      await reader.store.lease(field, 'a.1', requirement, new TimeBudget(5_000))
      await engine.redis.unlink(key())
      await call(words, key())
      const cached = { leasedAtMs: 1, freshUntilMs: 2, staleUntilMs: 2, etag: '"x"', body: null }
      const filled = reader.store.fill(field, 'a.1', { incarnation: '', ...cached }, 1_000)
      expect(await filled).to.equal('revoked')
      await reader.store.release(field, 'a.1')
    })

    it(`ignores and replaces a ${type} at the key of the watermarks`, async () => {
      const hash = watermarkKey(engine.prefix)
      await engine.redis.unlink(hash)
      await call(words, hash)
      const invalidationStore = openStore()
      expect(await invalidationStore.read('entity')).to.equal(null)
      expect((await invalidationStore.readAll()).size).to.equal(0)
      // Reads still work: a young entry is fresh without a watermark.
      await heals()
      const next = {
        ...{
          incarnation: 'incarnation',
          origin: '1.2.3',
          snapshot: { ...NOTHING_SEEN, xmin: 3n, xmax: 3n },
        },
        ...{ asOfMs: 1, part: 0, keyVersion: 1, fingerprint: 'f' },
      }
      const snapshot = { ...next.snapshot, text: '3:3:' }
      const advance = { resource: entity, expected: null, keys: new Set<string>(), flush: false }
      const report = await invalidationStore.apply([{ ...advance, next: { ...next, snapshot } }])
      expect(report.stored.has('entity')).to.equal(true)
      expect(decodeWatermark(await invalidationStore.read('entity'))?.snapshot.text).to.equal(
        '3:3:',
      )
      await engine.redis.unlink(hash)
    })
  }

  for (const [what, bytes] of [
    ['nothing', Buffer.alloc(0)],
    ['a short text', Buffer.from('x')],
    ['JSON', Buffer.from(JSON.stringify({ name: 'x'.repeat(100) }))],
    ['another format', Buffer.concat([Buffer.from([9]), Buffer.alloc(STORED_SIZE + 9)])],
    ['a cut header', Buffer.concat([Buffer.from([1]), Buffer.alloc(STORED_SIZE - 2)])],
    ['random bytes', randomBytes(1_000)],
    ['a million bytes', Buffer.alloc(1_000_000, 'x')],
  ] as const) {
    it(`replaces ${what} in place of a value with the answer`, async () => {
      await engine.redis.hset(key(), 'v', bytes)
      await heals(patient)
    })
  }

  it('replaces a value of another format with the same incarnation', async () => {
    await heals()
    const bytes = await engine.redis.hgetBuffer(key(), 'v')
    bytes?.writeUInt8(0, 0)
    await engine.redis.hset(key(), 'v', bytes as Buffer)
    await heals()
  })

  for (const lease of [
    '',
    ':',
    'x',
    'x:',
    ':5',
    'a:b',
    'a:nan',
    'a:inf',
    `a:${'9'.repeat(400)}`,
    'a:99999999999999',
  ]) {
    it(`does not wait for the invalid lease "${lease.slice(0, 20)}"`, async () => {
      await engine.redis.hset(key(), '~v', lease)
      await heals()
    })
  }

  it('ignores additional fields of an entry', async () => {
    await engine.redis.hset(key(), 'name', 'Lea', randomBytes(8), randomBytes(8), '', '')
    await heals()
  })

  for (const text of [
    Buffer.from('x'),
    Buffer.alloc(0),
    randomBytes(50),
    Buffer.from([0xff, 0xfe]),
  ]) {
    it(`replaces an invalid watermark of ${text.length} bytes (${text[0]})`, async () => {
      await engine.redis.hset(watermarkKey(engine.prefix), 'entity', text)
      const invalidationStore = openStore()
      const expected = await invalidationStore.read('entity')
      expect(decodeWatermark(expected)).to.equal(null)
      await heals()
      const next = {
        ...{ incarnation: 'incarnation', origin: '1.2.3', asOfMs: 1, part: 0, keyVersion: 1 },
        ...{ snapshot: { xmin: 3n, xmax: 3n, xip: [], text: '3:3:' }, fingerprint: 'f' },
      }
      const advance = { resource: entity, expected, next, keys: new Set<string>(), flush: false }
      expect((await invalidationStore.apply([advance])).stored.has('entity')).to.equal(true)
      await engine.redis.unlink(watermarkKey(engine.prefix))
    })
  }

  it('replaces a 9 MB value that does not arrive in time at the next read', async () => {
    await putLarge(key(), 'v', 9 * 2 ** 20)
    const found = patient.store.find(fieldAt(key()), new TimeBudget(0.5))
    expect(await found.catch(({ name }: Error) => name)).to.equal('StoreUnavailable')
    // A short budget is no evidence that the server is down.
    expect(isUsable(patient.store)).to.equal(true)
    await heals(patient)
    expect(await engine.redis.hstrlen(key(), 'v')).to.be.below(1_000)
  })

  it('still serves another entry as a hit while a 9 MB value is read on the same connection', async () => {
    await until(async () => (await read(patient, '1')) === 'hit')
    const loads = await patient.loads()
    await putLarge(key(), 'v', 9 * 2 ** 20)
    const outcomes = await Promise.all([read(patient), read(patient, '1')])
    expect(outcomes).to.deep.equal(['miss', 'hit'])
    await until(async () => (await read(patient)) === 'hit')
    expect(await patient.loads()).to.equal(loads + 1)
  })

  it('is not delayed in polling by a huge field beside the watermarks', async () => {
    const hash = watermarkKey(engine.prefix)
    await putLarge(hash, 'theirs', 9 * 2 ** 20)
    const one = await engine.openReader()
    expect((await one.reader.read(entity, { id }, 'v')).outcome).to.equal('miss')
    await engine.redis.unlink(hash)
  })

  it('are deleted and reported by the verifier without stopping it', async () => {
    const verifier = createVerifier({
      buckets: engine.buckets,
      db: engine.db,
      resources: [entity],
      prefix: engine.prefix,
    })
    await engine.redis.unlink(await engine.redis.keys(`${engine.prefix}/*`))
    await engine.redis.set(engine.keyOf('text'), 'x')
    await engine.redis.hset(engine.keyOf('value'), 'v', 'x', '~v', 'x', randomBytes(9), 'x')
    await engine.redis.set(`${engine.prefix}/v1/unknown`, 'x')
    await engine.redis.set(watermarkKey(engine.prefix), 'x')
    // Leased one year in the future, so readers ignore it and the verifier does not report it.
    await until(async () => (await read(patient)) === 'hit')
    const bytes = (await engine.redis.hgetBuffer(key(), 'v')) as Buffer
    const body = Buffer.from('another answer')
    const cached = decodeValue(bytes) as CachedValue
    const [leasedAtMs, freshUntilMs] = [cached.leasedAtMs + YEAR_MS, cached.freshUntilMs + YEAR_MS]
    const future = encodeValue({ ...cached, leasedAtMs, freshUntilMs, body, etag: etagOf(body) })
    await engine.redis.hset(key(), 'v', future)
    const found = await verifier.verify()
    expect(new Set(found.map(({ key, outcome }) => `${outcome} ${withoutAnyBucket(key)}`))).to.eql(
      new Set([`unreadable ${engine.keyOf('text')}`, `unreadable ${engine.keyOf('value')}`]),
    )
    expect(await engine.redis.exists(engine.keyOf('text'), engine.keyOf('value'))).to.equal(0)
    expect((await verifier.verify()).length).to.equal(0)
  })
})
