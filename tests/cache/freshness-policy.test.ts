import { randomUUID } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import { sql } from 'kysely'
import { findIncarnation, parseSnapshot, type Snapshot } from '../../db/event-log/index.ts'
import {
  type Answer,
  bareUuid,
  type ConsistencyToken,
  createFreshnessPolicy,
  decodeValue,
  DISABLED,
  type EntryStore,
  etagOf,
  IncarnationTracker,
  type Watermark,
  watermarkKey,
} from '../../shared/cache/index.ts'
import { encodeValue } from '../../shared/cache/entry-store/cached-value.ts'
import { type FreshnessPolicy } from '../../shared/cache/freshness/freshness-policy.ts'
import { PolledState } from '../../shared/cache/freshness/polled-state.ts'
import { encodeWatermark } from '../../shared/cache/freshness/watermark.ts'
import { createProxy, type Proxy } from '../support/chaos-proxy.ts'
import { testRedisServerUrl } from '../support/invalidator.ts'
import { type PrivateRedis, startPrivateRedis } from '../support/private-redis.ts'
import { notInCluster } from '../support/test-redis.ts'
import { until } from '../support/until.ts'
import {
  defineEntity,
  type Engine,
  openEngine,
  type ReaderOptions,
  type TestReader,
} from './engine.ts'
import type { Resource } from '../../shared/resources/cache.ts'

const BOUND_MS = 10_000
const MINUTE_MS = 60_000
const OLD = '{"body" : "old"}'
const FRESH = '{"body" : "first", "variant" : "v"}'
const entity = defineEntity({ ttlMs: 10 * MINUTE_MS })
const unavailable = Object.assign(new Error('connection lost'), { code: '08006' })
const broken = defineEntity({
  ttlMs: 10 * MINUTE_MS,
  staleIfError: true,
  afterSelect: () => Promise.reject(unavailable),
})

const textOf = ({ body }: Answer) => body?.toString()

describe('freshness policy', function () {
  this.timeout(60_000)

  let engine: Engine
  let ours: string
  let snapshot: Snapshot
  let entities = 0
  let id: string

  before(async () => {
    engine = await openEngine()
    ours = (await findIncarnation(engine.db)) ?? ''
    snapshot = await currentSnapshot()
  })
  after(() => engine[Symbol.asyncDispose]())
  beforeEach(async () => {
    id = `guarded-${++entities}`
    await sql`insert into entity values (${id}, 'first')`.execute(engine.db)
    await engine.redis.unlink(watermarkKey(engine.prefix))
  })

  async function currentSnapshot(): Promise<Snapshot> {
    const { rows } = await sql<{ text: string }>`
      select pg_current_snapshot()::text as text`.execute(engine.db)
    return parseSnapshot(rows[0]?.text ?? '') as Snapshot
  }

  const tokenOf = (at: Snapshot, incarnation = ours): ConsistencyToken => ({
    incarnation: bareUuid(incarnation),
    snapshot: at,
  })

  const redisNow = async () => {
    const [seconds, micros] = await engine.redis.time()
    return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)
  }

  /** Stores a watermark whose `asOf` is `agoMs` in the past. */
  async function publish(agoMs: number, change: Partial<Watermark> = {}): Promise<Watermark> {
    const asOfMs = (await redisNow()) - agoMs
    const part = { part: 0, keyVersion: 1, fingerprint: 'rules-1' }
    const mark = { incarnation: ours, origin: '1.2.3', snapshot, asOfMs, ...part, ...change }
    await engine.redis.hset(watermarkKey(engine.prefix), 'entity', encodeWatermark(mark))
    return mark
  }

  /** Stores an outdated answer, leased `agoMs` ago. */
  async function putOld(agoMs: number, incarnation = ours): Promise<void> {
    const leasedAtMs = (await redisNow()) - agoMs
    const freshUntilMs = leasedAtMs + 10 * MINUTE_MS
    const body = Buffer.from(OLD)
    const times = { leasedAtMs, freshUntilMs, staleUntilMs: freshUntilMs }
    const cached = encodeValue({ incarnation, ...times, etag: etagOf(body), body })
    await engine.redis.hset(engine.keyOf(id), 'v', cached)
  }

  const heldBy = ({ store }: TestReader) => store.watermark('entity', '')

  /** Opens a reader and waits until it has polled the published watermark. */
  async function open(options: ReaderOptions = {}, mark?: Watermark): Promise<TestReader> {
    const reader = await engine.openReader({ maxStalenessMs: BOUND_MS, ...options })
    if (mark) await untilHeld(reader, mark)
    return reader
  }
  const untilHeld = (reader: TestReader, mark: Watermark) =>
    until(() => heldBy(reader)?.asOfMs === mark.asOfMs)

  const read = (from: TestReader, resource: Resource = entity) =>
    from.reader.read(resource, { id }, 'v')
  const stored = async () => {
    const cached = decodeValue(await engine.redis.hgetBuffer(engine.keyOf(id), 'v'))
    return cached?.body?.toString() ?? null
  }

  describe('while the watermark advances', () => {
    it('serves an entry of any age', async () => {
      const reader = await open({}, await publish(BOUND_MS / 2))
      await putOld(9 * MINUTE_MS)
      expect(await read(reader)).to.include({ outcome: 'hit' })
      expect(await reader.loads()).to.equal(0)
    })

    it('treats an entry of another incarnation as absent and replaces it', async () => {
      const reader = await open({}, await publish(0))
      await putOld(0, randomUUID())
      const answer = await read(reader)
      expect(textOf(answer)).to.equal(FRESH)
      expect(answer).to.include({ outcome: 'miss' })
      await until(async () => (await stored()) === FRESH)
      expect(await read(reader)).to.include({ outcome: 'hit' })
    })

    it('does not serve an entry of another incarnation when a load fails', async () => {
      const reader = await open({}, await publish(0))
      await putOld(0, randomUUID())
      expect(await read(reader, broken).catch((e: unknown) => e)).to.equal(unavailable)
    })
  })

  const silences = [
    { when: 'the watermark has stopped advancing', publishIt: () => publish(BOUND_MS + 1_000) },
    { when: 'there is no watermark', publishIt: () => Promise.resolve(undefined) },
  ]
  for (const { when, publishIt } of silences) {
    describe(`while ${when}`, () => {
      it('serves an entry that is younger than the bound', async () => {
        const reader = await open({}, await publishIt())
        await putOld(BOUND_MS - 2_000)
        expect(await read(reader)).to.include({ outcome: 'hit' })
      })

      it('reloads an older entry once for all processes, with detail=freshness', async () => {
        const mark = await publishIt()
        // With a short timeout a reader would stop waiting for the lease and load the value
        // itself.
        const patient = { redisTimeoutMs: 5_000 }
        const readers = [await open(patient, mark), await open(patient, mark)]
        await putOld(BOUND_MS + 1)
        const answers = await Promise.all(
          Array.from({ length: 40 }, (_, n) => read(readers[n % 2] as TestReader)),
        )
        expect(new Set(answers.map(textOf))).to.deep.equal(new Set([FRESH]))
        const loaded = answers.filter(({ outcome, collapsed }) => outcome === 'miss' && !collapsed)
        expect(loaded).to.have.length(1)
        expect(loaded[0]).to.include({ detail: 'freshness' })
        await until(async () => (await stored()) === FRESH)
        for (const reader of readers) expect(await read(reader)).to.include({ outcome: 'hit' })
        const loads = await Promise.all(readers.map((reader) => reader.loads()))
        expect(loads.reduce((sum, count) => sum + count, 0)).to.equal(1)
      })

      it('serves an older entry with outcome=stale when a load fails', async () => {
        const reader = await open({}, await publishIt())
        await putOld(BOUND_MS + 1)
        const answer = await read(reader, broken)
        expect(textOf(answer)).to.equal(OLD)
        expect(answer).to.include({ outcome: 'stale', detail: 'error' })
      })

      it('never serves a stale entry to a request with a consistency token', async () => {
        const consistencyTokens = [{ incarnation: bareUuid(ours), snapshot }]
        const reader = await open({ consistencyTokens: () => consistencyTokens }, await publishIt())
        await putOld(0)
        expect(await read(reader, broken).catch((e: unknown) => e)).to.equal(unavailable)
      })

      it('treats an entry of another incarnation as absent', async () => {
        const reader = await open({}, await publishIt())
        await putOld(0, randomUUID())
        expect(textOf(await read(reader))).to.equal(FRESH)
      })

      it('does not join a load that started before the bound', async () => {
        const mark = await publishIt()
        const brief = await open({ maxStalenessMs: 200 }, mark)
        let selected = 0
        let release = () => {}
        const gate = new Promise<void>((resolve) => (release = resolve))
        const slow = defineEntity({ afterSelect: () => (selected++ === 0 ? gate : undefined) })
        const first = read(brief, slow)
        await until(() => selected === 1)
        const startedAtMs = brief.store.now('')
        await sql`update entity set body = 'second' where id = ${id}`.execute(engine.db)
        await until(() => brief.store.now('') > startedAtMs + 300)
        const second = await read(brief, slow)
        expect(textOf(second)).to.contain('second')
        release()
        expect(textOf(await first)).to.equal(FRESH)
      })
    })
  }

  describe('while the watermark is of another incarnation than our own connections see', () => {
    it("treats entries of the watermark's incarnation as absent even if the watermark advances", async () => {
      const theirs = randomUUID()
      const reader = await open({}, await publish(0, { incarnation: theirs }))
      await putOld(0, theirs)
      expect(textOf(await read(reader))).to.equal(FRESH)
    })

    it('serves entries of our own incarnation while they are younger than the bound', async () => {
      const reader = await open({}, await publish(0, { incarnation: randomUUID() }))
      await putOld(BOUND_MS - 2_000)
      expect(await read(reader)).to.include({ outcome: 'hit' })
      await putOld(BOUND_MS + 1)
      expect(textOf(await read(reader))).to.equal(FRESH)
    })

    it('serves no entry while the current incarnation has not begun', async () => {
      const reader = await open({}, await publish(0))
      reader.incarnationTracker.observe(null, performance.now())
      await putOld(0)
      expect(textOf(await read(reader))).to.equal(FRESH)
    })
  })

  describe('before the process knows the current incarnation', () => {
    /** Opens a reader that does not know the incarnation yet, with an advancing watermark. */
    async function openUnknowing(): Promise<TestReader> {
      const incarnationTracker = new IncarnationTracker()
      const wrapPolicy = () =>
        createFreshnessPolicy({ maxStalenessMs: BOUND_MS, incarnationTracker })
      return open({ wrapPolicy }, await publish(0))
    }

    it('treats every entry as stale and replaces it', async () => {
      const reader = await openUnknowing()
      await putOld(0)
      expect(await read(reader)).to.include({ outcome: 'miss' })
      await until(async () => (await stored()) === FRESH)
    })

    it('serves an entry with outcome=stale when a load fails', async () => {
      const reader = await openUnknowing()
      await putOld(0)
      const answer = await read(reader, broken)
      expect(textOf(answer)).to.equal(OLD)
      expect(answer).to.include({ outcome: 'stale' })
    })
  })

  describe('where the watermark enables another key version', () => {
    const names = [
      { keyVersion: 2, detail: 'version' },
      { keyVersion: DISABLED, detail: 'triggers' },
    ]
    for (const { keyVersion, detail } of names) {
      it(`reads Postgres and stores nothing, with detail=${detail}`, async () => {
        const reader = await open({}, await publish(0, { keyVersion }))
        const answer = await read(reader)
        expect(textOf(answer)).to.equal(FRESH)
        expect(answer).to.include({ outcome: 'bypass', detail })
        await putOld(0)
        expect(await read(reader)).to.include({ outcome: 'bypass', detail })
        expect(await engine.redis.hkeys(engine.keyOf(id))).to.deep.equal(['v'])
        expect(await stored()).to.equal(OLD)
      })
    }
  })

  describe('when a poll overtakes a read', () => {
    /** A store that delays the results of `find` until the test releases them. */
    function hold() {
      const gate = new EventEmitter()
      let found = 0
      const wrap = (store: EntryStore): EntryStore => ({
        ...store,
        async find(...args) {
          const opened = once(gate, 'open')
          const cached = await store.find(...args)
          found++
          await opened
          return cached
        },
      })
      return { wrap, untilFound: () => until(() => found > 0), release: () => gate.emit('open') }
    }

    /**
     * Finds an old entry. Before the reader receives it, it is invalidated and the watermark
     * advances.
     */
    async function race(wrapMore: (store: EntryStore) => EntryStore = (store) => store) {
      const { wrap, untilFound, release } = hold()
      const before = await publish(BOUND_MS + 1_000)
      const reader = await open({ wrap: (store) => wrapMore(wrap(store)) }, before)
      await putOld(BOUND_MS + 1)
      const answer = read(reader)
      await untilFound()
      await engine.redis.unlink(engine.keyOf(id))
      await untilHeld(reader, await publish(0))
      release()
      return answer
    }

    it('applies the watermark that was current when the command was sent', async () => {
      expect(textOf(await race())).to.equal(FRESH)
    })

    it('would serve an invalidated entry if it applied a later watermark', async () => {
      const answer = await race((store) => ({
        ...store,
        watermark(name) {
          const held = store.watermark(name, '')
          const later = { get: () => store.watermark(name, '')?.asOfMs }
          return held && Object.defineProperty({ ...held }, 'asOfMs', later)
        },
      }))
      expect(textOf(answer)).to.equal(OLD)
    })
  })

  notInCluster('its one server is replaced').describe(
    'after the connection leads to another Redis server',
    () => {
      let elsewhere: PrivateRedis
      let proxy: Proxy
      before(async () => {
        elsewhere = await startPrivateRedis()
        await admit(new URL(testRedisServerUrl()))
        proxy = await createProxy(testRedisServerUrl())
        await proxy.listen()
      })
      after(async () => {
        await proxy[Symbol.asyncDispose]()
        await elsewhere[Symbol.asyncDispose]()
      })

      /** Creates the user of the main server, which a replica would also have. */
      async function admit({ username, password }: URL): Promise<void> {
        if (username === '') return
        const redis = new Redis(elsewhere.url)
        const secret = `>${decodeURIComponent(password)}`
        await redis.acl('SETUSER', decodeURIComponent(username), 'on', secret, '~*', '&*', '+@all')
        redis.disconnect()
      }

      /**
       * Fails over to a lagging replica that still has the invalidated entry and an older
       * watermark.
       */
      async function failOver(polledState: PolledState): Promise<Answer> {
        proxy.lead(testRedisServerUrl())
        const consistencyToken = { incarnation: bareUuid(ours), snapshot }
        const reader = await open({
          redisUrl: proxy.url,
          polledState,
          consistencyTokens: () => [consistencyToken],
        })
        await untilHeld(reader, await publish(0))

        await putOld(0)
        const copy = await engine.redis.dumpBuffer(engine.keyOf(id))
        const replica = new Redis(elsewhere.url)
        await replica.restore(engine.keyOf(id), 0, copy, 'REPLACE')
        replica.disconnect()
        await engine.redis.unlink(engine.keyOf(id))

        // The connection may break more than once during the failover.
        const answer = new Promise((resolve) => reader.redis.once('ready', resolve)).then(() =>
          read(reader),
        )
        proxy.lead(elsewhere.url)
        return answer
      }

      it('discards the watermark before the new server is used', async () => {
        const answer = await failOver(new PolledState())
        expect(textOf(answer)).to.equal(FRESH)
        expect(answer).to.include({ outcome: 'bypass', detail: 'redis' })
      })

      it('would serve a value older than a consistency token if it kept the watermark', async () => {
        class WithoutReset extends PolledState {
          override reset(): void {}
        }
        expect(textOf(await failOver(new WithoutReset()))).to.equal(OLD)
      })
    },
  )

  describe('with consistency tokens', () => {
    /** Returns a token that is later than the published watermark. */
    async function laterToken(): Promise<ConsistencyToken> {
      await sql`update entity set body = body where id = '1'`.execute(engine.db)
      return tokenOf(await currentSnapshot())
    }

    it('serves a cached entry once the watermark satisfies the tokens', async () => {
      const reader = await open({ consistencyTokens: () => [tokenOf(snapshot)] }, await publish(0))
      await putOld(MINUTE_MS)
      expect(await read(reader)).to.include({ outcome: 'hit' })
    })

    it('reads Postgres and neither reads nor fills Redis while a token is not satisfied', async () => {
      const consistencyToken = await laterToken()
      const consistencyTokens = [tokenOf(snapshot), consistencyToken]
      const reader = await open({ consistencyTokens: () => consistencyTokens }, await publish(0))
      await putOld(0)
      expect(await read(reader)).to.include({ outcome: 'bypass', detail: 'consistency' })
      expect(await engine.redis.hkeys(engine.keyOf(id))).to.deep.equal(['v'])
      expect(await stored()).to.equal(OLD)

      await untilHeld(reader, await publish(0, { snapshot: await currentSnapshot() }))
      expect(await read(reader)).to.include({ outcome: 'hit' })
    })

    it('joins no load of another request while a token is not satisfied', async () => {
      const mark = await publish(0)
      let release = () => {}
      const gate = new Promise<void>((resolve) => (release = resolve))
      let selected = 0
      const slow = defineEntity({ afterSelect: () => (selected++ === 0 ? gate : undefined) })
      let brought: ConsistencyToken[] = []
      const reader = await open({ consistencyTokens: () => brought }, mark)
      const first = read(reader, slow)
      await until(() => selected === 1)
      await sql`update entity set body = 'mine' where id = ${id}`.execute(engine.db)
      brought = [tokenOf(await currentSnapshot())]
      expect(textOf(await read(reader, slow))).to.contain('mine')
      release()
      expect(textOf(await first)).to.equal(FRESH)
    })

    it('is not satisfied for a token of another or an unknown incarnation', async () => {
      const mark = await publish(0)
      for (const consistencyToken of [
        tokenOf(snapshot, randomUUID()),
        { incarnation: null, snapshot },
      ]) {
        const reader = await open({ consistencyTokens: () => [consistencyToken] }, mark)
        await putOld(0)
        expect(await read(reader)).to.include({ outcome: 'bypass', detail: 'consistency' })
      }
    })

    it('is not satisfied once the watermark has stopped advancing', async () => {
      const reader = await open(
        { consistencyTokens: () => [tokenOf(snapshot)] },
        await publish(BOUND_MS + 1),
      )
      await putOld(0)
      expect(await read(reader)).to.include({ outcome: 'bypass', detail: 'consistency' })
    })
  })

  // For every check: with the check disabled, the stale value must be served.
  describe('would serve a stale value', () => {
    const theirs = randomUUID()
    const override =
      (change: (freshnessPolicy: FreshnessPolicy) => Partial<FreshnessPolicy>) =>
      (freshnessPolicy: FreshnessPolicy) => ({
        ...freshnessPolicy,
        ...change(freshnessPolicy),
      })
    const checks: readonly {
      readonly check: string
      readonly wrapPolicy: (freshnessPolicy: FreshnessPolicy) => FreshnessPolicy
      readonly agoMs?: number
      readonly mark?: Partial<Watermark>
      readonly incarnation?: string
      readonly consistencyToken?: () => ConsistencyToken
    }[] = [
      {
        check: 'the bound',
        agoMs: BOUND_MS + 1,
        wrapPolicy: override(({ requirement }) => ({
          requirement: (...args) => ({ ...requirement(...args), oldestMs: 0 }),
        })),
      },
      {
        check: 'the incarnation of the database',
        incarnation: theirs,
        wrapPolicy: override(({ requirement }) => ({
          requirement: (...args) => ({ ...requirement(...args), incarnation: bareUuid(theirs) }),
        })),
      },
      {
        check: 'the incarnation of the watermark',
        incarnation: theirs,
        mark: { incarnation: theirs },
        wrapPolicy: override(() => ({
          requirement: (mark) => ({ incarnation: mark?.incarnation ?? null, oldestMs: 0 }),
        })),
      },
      {
        check: 'the enabled key version',
        mark: { keyVersion: DISABLED },
        wrapPolicy: override(() => ({ reasonToBypass: () => undefined })),
      },
      {
        check: 'the tokens',
        consistencyToken: () => tokenOf({ ...snapshot, xmax: snapshot.xmax + 1_000n, xip: [] }),
        wrapPolicy: override(() => ({ satisfies: () => true })),
      },
      {
        check: 'the incarnation of the tokens',
        consistencyToken: () => tokenOf(snapshot, theirs),
        wrapPolicy: override(({ satisfies }) => ({
          satisfies: (mark, consistencyTokens, nowMs) => {
            const taken = consistencyTokens.map((consistencyToken) => ({
              ...consistencyToken,
              incarnation: mark?.incarnation ?? null,
            }))
            return satisfies(mark, taken, nowMs)
          },
        })),
      },
    ]
    for (const { check, wrapPolicy, agoMs = 0, mark, incarnation, consistencyToken } of checks) {
      const readOld = async (options: ReaderOptions) => {
        const consistencyTokens = consistencyToken ? [consistencyToken()] : []
        const reader = await open(
          { consistencyTokens: () => consistencyTokens, ...options },
          await publish(agoMs, mark),
        )
        await putOld(MINUTE_MS, incarnation)
        return textOf(await read(reader))
      }

      it(`without the check of ${check}, and only then`, async () => {
        expect(await readOld({ wrapPolicy })).to.equal(OLD)
        expect(await readOld({})).to.equal(FRESH)
      })
    }
  })
})
