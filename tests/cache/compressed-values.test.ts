import { expect } from 'chai'
import { sql } from 'kysely'
import {
  type Answer,
  type CachedValue,
  createVerifier,
  decodeValue,
  encodeValue,
  inflate,
} from '../../shared/cache/index.ts'
import type { Resource } from '../../shared/resources/cache.ts'
import { until } from '../support/until.ts'
import { defineEntity, type Engine, openEngine, type TestReader } from './engine.ts'

/** Length of the text in an entity. Bodies are a little longer. */
const LONG = 5_000
const GZIP_FORMAT = 2
const HEADER_BYTES = 58

describe('compressed values', function () {
  this.timeout(60_000)

  let engine: Engine
  let one: TestReader
  let two: TestReader
  /** Stores no compressed values. */
  let plain: TestReader
  const entity = defineEntity()

  before(async () => {
    engine = await openEngine()
    one = await engine.openReader()
    two = await engine.openReader()
    plain = await engine.openReader({ compression: { minBytes: 0, level: 0 } })
  })
  after(() => engine[Symbol.asyncDispose]())
  beforeEach(async () => {
    await change('x'.repeat(LONG))
    await engine.redis.unlink(key())
  })

  const key = () => engine.keyOf('1')
  const change = (body: string) => sql`update entity set body = ${body}`.execute(engine.db)
  const read = ({ reader }: TestReader, resource: Resource = entity) =>
    reader.read(resource, { id: '1' }, 'v')
  const stored = () => engine.redis.hgetBuffer(key(), 'v') as Promise<Buffer>
  const untilStored = () => until(async () => (await engine.redis.hkeys(key())).join() === 'v')
  const plainBodyOf = async ({ body, encoding }: Answer) =>
    String(await inflate({ body: body as Buffer, encoding }))

  it('are stored after a plain answer to the first reader, and answer the next ones as they are', async () => {
    const first = await read(one)
    expect(first.outcome).to.equal('miss')
    expect(first.encoding).to.equal(undefined)
    expect(first.body?.length).to.be.above(LONG)
    await untilStored()
    const bytes = await stored()
    expect(bytes[0]).to.equal(GZIP_FORMAT)
    expect(bytes.length).to.be.below(LONG / 10)
    const next = await read(two)
    expect(next).to.include({ outcome: 'hit', encoding: 'gzip', etag: first.etag })
    expect(next.body).to.deep.equal(bytes.subarray(HEADER_BYTES))
    expect(await plainBodyOf(next)).to.equal(String(first.body))
  })

  it('are not made from short bodies', async () => {
    await change('x'.repeat(500))
    await read(one)
    await untilStored()
    expect((await stored())[0]).to.equal(1)
    expect(await read(two))
      .to.include({ outcome: 'hit' })
      .and.not.to.have.property('encoding')
  })

  it('and plain ones are read by processes that store the other kind', async () => {
    for (const [writer, reader] of [
      [one, plain],
      [plain, one],
    ] as const) {
      await engine.redis.unlink(key())
      const written = await read(writer)
      await untilStored()
      const loads = await reader.loads()
      const answer = await read(reader)
      expect(answer).to.include({ outcome: 'hit', etag: written.etag })
      expect(await plainBodyOf(answer)).to.equal(String(written.body))
      expect(await reader.loads()).to.equal(loads)
    }
  })

  it('are not stored if the entry is invalidated during the compression', async () => {
    // Compressing this much takes far longer than the invalidation.
    await sql`update entity set body = (
      select string_agg(md5(i::text), '') from generate_series(1, 50000) i
    )`.execute(engine.db)
    const large = await engine.openReader({ maxValueBytes: 2 ** 24, redisTimeoutMs: 5_000 })
    await read(large)
    expect(await engine.redis.hkeys(key())).to.deep.equal(['~v'])
    await engine.redis.unlink(key())
    await until(async () => (await large.fills('revoked')) === 1)
    expect(await engine.redis.exists(key())).to.equal(0)
  })

  it('count as absent for a process whose size limit the plain body exceeds', async () => {
    await read(one)
    await untilStored()
    const small = await engine.openReader({ maxValueBytes: LONG / 2 })
    expect((await stored()).length).to.be.below(LONG / 2)
    expect(await read(small)).to.include({ outcome: 'miss', detail: 'large' })
    await until(async () => (await small.fills('too_large')) === 1)
    expect(decodeValue(await stored())?.body).to.equal('too large')
  })

  for (const [what, damage] of [
    ['flags', (bytes: Buffer) => bytes.writeUInt8(1, 1)],
    ['a body that is not gzip', (bytes: Buffer) => bytes.write('{"a":1}', HEADER_BYTES)],
    ['a plain length above the limit', (bytes: Buffer) => bytes.fill(0xff, bytes.length - 4)],
  ] as const) {
    it(`with ${what} count as absent and are replaced`, async () => {
      await read(one)
      await untilStored()
      const bytes = await stored()
      damage(bytes)
      await engine.redis.hset(key(), 'v', bytes)
      expect(await read(two)).to.include({ outcome: 'miss' })
      await until(async () => (await read(two)).outcome === 'hit')
    })
  }

  it('that inflate to another length than they state are rejected', async () => {
    await read(one)
    await untilStored()
    for (const length of [0, 10, LONG * 3]) {
      const { body, encoding } = (await read(one)) as { body: Buffer; encoding: 'gzip' }
      body.writeUInt32LE(length, body.length - 4)
      const inflated = await inflate({ body, encoding }).catch((error: Error) => error)
      expect(inflated, String(length)).to.be.an('error')
    }
  })

  it('are not made from bodies that their resource verifies, and are not used in their place', async () => {
    const seen: string[] = []
    const verified: Resource = {
      ...entity,
      isGenuine: (body) => seen.push(String(body)) > 0,
    }
    const { body } = await read(one, verified)
    await untilStored()
    expect((await stored())[0]).to.equal(1)
    expect(await read(one, verified)).to.include({ outcome: 'hit' })
    expect(seen).to.deep.equal([String(body)])

    await engine.redis.unlink(key())
    await read(one)
    await untilStored()
    expect(await read(one, verified)).to.include({ outcome: 'miss' })
    expect(seen).to.deep.equal([String(body)])
  })

  describe('in the verifier', () => {
    const verify = async () => {
      const { buckets, db, prefix } = engine
      const verifier = createVerifier({
        buckets,
        db,
        prefix,
        resources: [entity],
        timeoutMs: 100,
      })
      return (await verifier.verify()).map(({ outcome }) => outcome)
    }

    it('are right if their plain body equals a fresh load', async () => {
      await read(one)
      await untilStored()
      expect(await verify()).to.deep.equal(['right'])
      await change('y'.repeat(LONG))
      // Without an invalidator there is no proof.
      expect(await verify()).to.deep.equal(['unproven'])
    })

    it('are compared by their body, not by the stored tag', async () => {
      await read(one)
      await untilStored()
      const cached = decodeValue(await stored()) as CachedValue
      await change('y'.repeat(LONG))
      await engine.redis.unlink(key())
      const { etag } = await read(one)
      await untilStored()
      await engine.redis.hset(key(), 'v', encodeValue({ ...cached, etag }))
      expect(await verify()).to.deep.equal(['unproven'])
    })

    it('are deleted if they cannot be inflated', async () => {
      await read(one)
      await untilStored()
      const bytes = await stored()
      bytes.fill(0xff, HEADER_BYTES + 10, bytes.length - 8)
      await engine.redis.hset(key(), 'v', bytes)
      expect(await verify()).to.deep.equal(['unreadable'])
      expect(await engine.redis.exists(key())).to.equal(0)
    })
  })
})
