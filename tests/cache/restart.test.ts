import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { sql } from 'kysely'
import { trackIncarnation } from '../../shared/cache/index.ts'
import { startInvalidator, testRedisUrl, type WrapStore } from '../support/invalidator.ts'
import { type PrivatePostgres, startPrivatePostgres } from '../support/private-postgres.ts'
import { LOAD_PAUSE_MS } from '../support/long.ts'
import { until } from '../support/until.ts'
import { defineEntity, type Engine, openEngine, type TestReader } from './engine.ts'

const BOUND_MS = 2_000
const first = '{"body" : "first", "variant" : "v"}'
const second = '{"body" : "second", "variant" : "v"}'

describe('readers after a restart of Postgres without an invalidator', function () {
  this.timeout(240_000)

  const entity = defineEntity()
  const stop = new AbortController()
  const watching: Promise<void>[] = []
  const troubles: unknown[] = []
  let postgres: PrivatePostgres
  let engine: Engine
  let readers: readonly [TestReader, TestReader]
  before(async () => {
    postgres = await startPrivatePostgres({ seeded: false })
    engine = await openEngine(testRedisUrl(), postgres.url)
    readers = [await open(BOUND_MS), await open(BOUND_MS)]
  })
  after(async () => {
    stop.abort()
    await Promise.all(watching)
    await engine[Symbol.asyncDispose]()
    await postgres[Symbol.asyncDispose]()
  })

  /** Opens a reader that tracks the incarnation, as `api/main.ts` does. */
  async function open(maxStalenessMs: number): Promise<TestReader> {
    const reader = await engine.openReader({ maxStalenessMs, redisTimeoutMs: 2_000 })
    watching.push(
      trackIncarnation(engine.db, reader.incarnationTracker, stop.signal, (error) =>
        troubles.push(error),
      ),
    )
    return reader
  }

  const read = ({ reader }: TestReader) =>
    reader.read(entity, { id: '1' }, 'v').catch(() => ({ outcome: 'failed', body: null }))
  const outcome = async (from: TestReader) => (await read(from)).outcome
  const text = async (from: TestReader) => (await read(from)).body?.toString()
  const loads = async () => (await readers[0].loads()) + (await readers[1].loads())

  for (const [how, end] of [
    ['stopped', () => postgres.stop()],
    ['crashed', () => postgres.crash()],
  ] as const) {
    it(`load each entry once per MAX_STALENESS_MS after Postgres ${how}`, async () => {
      for (const reader of readers) await until(async () => (await outcome(reader)) === 'hit')
      const before = readers[0].incarnationTracker.incarnation
      await end()
      await postgres.start()
      for (const reader of readers) {
        await until(
          () =>
            typeof reader.incarnationTracker.incarnation === 'string' &&
            reader.incarnationTracker.incarnation !== before,
        )
        await until(async () => (await outcome(reader)) === 'hit')
      }
      expect(readers[0].incarnationTracker.incarnation).to.equal(
        readers[1].incarnationTracker.incarnation,
      )

      const loadsBefore = await loads()
      const sinceMs = performance.now()
      while (performance.now() - sinceMs < 2.5 * BOUND_MS) {
        for (const reader of readers) expect(await outcome(reader)).to.be.oneOf(['hit', 'miss'])
        await sleep(LOAD_PAUSE_MS)
      }
      const bounds = Math.ceil((performance.now() - sinceMs) / BOUND_MS)
      expect((await loads()) - loadsBefore).to.be.within(1, bounds)
    })
  }

  it('serve nothing stale once an invalidator starts, which flushes once', async () => {
    const patient = await open(3_600_000)
    await until(() => typeof patient.incarnationTracker.incarnation === 'string')
    await until(async () => (await outcome(patient)) === 'hit')
    expect(await text(patient)).to.equal(first)
    await sql`update entity set body = 'second'`.execute(engine.db)
    const begun = patient.incarnationTracker.incarnation

    let flushes = 0
    const entryBucket = engine.buckets.bucketOf(engine.keyOf('1'))
    const wrapInvalidationStore: WrapStore = (invalidationStore, bucket) => ({
      ...invalidationStore,
      async apply(advances, between) {
        const report = await invalidationStore.apply(advances, between)
        for (const { resource, flush } of advances) {
          if (flush && bucket === entryBucket && report.stored.has(resource.name)) flushes++
        }
        return report
      },
    })
    await using invalidator = startInvalidator({
      databaseUrl: postgres.url,
      catalog: [entity],
      prefix: engine.prefix,
      wrapInvalidationStore,
    })
    await until(() => invalidator.working && flushes > 0)
    await until(async () => (await text(patient)) === second)
    await until(async () => (await outcome(patient)) === 'hit')
    expect(flushes).to.equal(1)
    expect(patient.incarnationTracker.incarnation).to.equal(begun)
    expect(troubles).to.deep.equal([])
  })
})
