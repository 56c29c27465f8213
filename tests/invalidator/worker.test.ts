import { expect } from 'chai'
import type { Client } from 'pg'
import { NoIncarnation, pruneEventLog, recordCursors, uninstall } from '../../db/event-log/index.ts'
import {
  compileRules,
  decodeWatermark,
  type InvalidationStore,
  type ResourceRules,
  type Watermark,
  watermarkKey,
} from '../../shared/cache/index.ts'
import { encodeWatermark } from '../../shared/cache/freshness/watermark.ts'
import type { EventLog } from '../event-log/event-log.ts'
import {
  newPrefix,
  openWorker,
  startInvalidator,
  testRedisUrl,
  type TestInvalidatorOptions,
  type TestWorker,
} from '../support/invalidator.ts'
import { openTestRedis, untilReady } from '../support/test-redis.ts'
import { until } from '../support/until.ts'
import { bird, BIRDS, census, type Entries, entriesOf, nest, openBirds } from './birds.ts'

describe('worker', () => {
  let log: EventLog
  let opened: AsyncDisposable[]

  before(async () => {
    log = await openBirds()
  })
  after(() => log[Symbol.asyncDispose]())
  beforeEach(async () => {
    opened = []
    await log.client.query('truncate bird, ring; delete from invalidation.event')
  })
  afterEach(async () => {
    for (const one of opened) await one[Symbol.asyncDispose]()
  })

  interface Settled extends TestWorker, Entries {
    apply(): Promise<number>
    mark(resource: ResourceRules): Promise<Watermark | null>
    flushes(): Promise<Record<string, number>>
  }

  /** Opens a worker that owns all resources and, unless `idle`, has applied its first window. */
  async function start(
    options: Partial<TestInvalidatorOptions> & {
      readonly idle?: boolean
      readonly owned?: readonly ResourceRules[]
    } = {},
  ): Promise<Settled> {
    const one = await openWorker({ databaseUrl: log.url, catalog: BIRDS, ...options })
    opened.push(one)
    one.worker.acquire(options.owned ?? options.catalog ?? BIRDS)
    if (!options.idle) await one.worker.applyWindow()
    return {
      ...one,
      ...entriesOf(one.redis, one.prefix),
      apply: () => one.worker.applyWindow(),
      mark: async ({ name }) => decodeWatermark(await one.invalidationStore.read(name)),
      async flushes() {
        const { values } = await one.metrics.flushes.get()
        one.metrics.flushes.reset()
        return Object.fromEntries(
          values.map(({ labels, value }) => [`${labels.resource}: ${labels.reason}`, value]),
        )
      },
    }
  }

  const write = (sql: string) => log.client.query(sql)

  const A_BIRD = `insert into bird values (1, 'wren', 9, '{}', 2)`

  it('flushes resources without a watermark and then stores one', async () => {
    await write(A_BIRD)
    const one = await start({ idle: true })
    const keys = [one.key(bird, 1), one.key(bird, 77), one.key(nest, 5), one.key(census)]
    expect(await one.gone(keys, () => one.apply())).to.eql(keys)
    expect(await one.flushes()).to.eql({
      'bird: no watermark': 1,
      'nest: no watermark': 1,
      'census: no watermark': 1,
    })
    const { rows } = await log.client.query<{ seen: boolean; id: string }>(
      `select bool_and(pg_visible_in_snapshot(xid, $1)) as seen,
              (select id from invalidation.incarnation) as id from invalidation.event`,
      [(await one.mark(bird))?.snapshot.text],
    )
    expect(rows[0]?.seen).to.be.true
    expect(await one.mark(bird)).to.include({ incarnation: rows[0]?.id, part: 0, keyVersion: 1 })
    expect((await one.mark(bird))?.fingerprint).to.match(/^[\w-]{16}$/)
  })

  it('invalidates changed entries by key and by lookup, and nothing else', async () => {
    await write(`${A_BIRD}; insert into bird values (3, 'owl', 9, '{}', 2), (4, 'tit', 9, '{}', 5)`)
    const one = await start()
    await one.flushes()
    const keys = [1, 3, 4, 5].flatMap((id) => [one.key(bird, id), one.key(nest, id)])
    keys.push(one.key(nest, 2), one.key(census))
    const gone = (sql: string) =>
      one.gone(keys, async () => {
        await write(sql)
        expect(await one.apply()).to.equal(1)
      })

    expect(await gone(`update bird set name = 'x' where id = 1`)).to.have.members([
      one.key(bird, 1),
      one.key(nest, 2),
    ])
    expect(await gone(`update bird set nest_id = 5 where id = 1`)).to.have.members([
      one.key(bird, 1),
      one.key(nest, 2),
      one.key(nest, 5),
    ])
    expect(await gone(`update nest set place = 'x' where id = 5`)).to.have.members([
      one.key(bird, 1),
      one.key(bird, 4),
    ])
    expect(await gone(`update bird set weight = 3 where id = 4`)).to.have.members([
      one.key(bird, 4),
      one.key(census),
    ])
    expect(await one.gone(keys, () => one.apply())).to.eql([])
    expect(await one.flushes()).to.eql({})
  })

  it('flushes everything after the event log was emptied by hand, but not after pruning', async () => {
    const one = await start()
    await one.flushes()
    const keys = [one.key(bird, 1)]
    const gone = await one.gone(keys, async () => {
      await write(`${A_BIRD}; truncate invalidation.event_0, invalidation.event_1,
        invalidation.event_2, invalidation.event_3`)
      const error = await one.apply().catch((error: unknown) => error)
      expect(error).to.be.instanceOf(NoIncarnation)
      // As its next session does.
      await write('select invalidation.begin_incarnation()')
      await one.apply()
    })
    expect(gone).to.eql(keys)
    expect(await one.flushes()).to.eql({
      'bird: no watermark': 1,
      'nest: no watermark': 1,
      'census: no watermark': 1,
    })
    // Like pruning, which empties only what every watermark has seen and raises the retention
    // floor.
    await write(
      `begin; insert into invalidation.retention_floor values (true, '1:1:');
       set local invalidation.keeps_incarnation = on; truncate invalidation.event_0; commit`,
    )
    await one.apply()
    expect(await one.flushes()).to.eql({})
    await write('delete from invalidation.retention_floor')
  })

  for (const [when, isRunning] of [
    ['while it runs', true],
    ['while no invalidator runs', false],
  ] as const) {
    it(`flushes everything if the event log is emptied by hand ${when}`, async () => {
      const options = { databaseUrl: log.url, catalog: BIRDS, prefix: newPrefix() }
      const first = startInvalidator(options)
      opened.push(first)
      await until(() => first.working)
      await until(async () => (await first.invalidationStore.readAll()).size === BIRDS.length)
      if (!isRunning) await first[Symbol.asyncDispose]()
      const { redis } = openTestRedis(testRedisUrl(), options.prefix)
      opened.push({ [Symbol.asyncDispose]: async () => redis.disconnect() })
      await untilReady(redis)
      const { put, left, key } = entriesOf(redis, options.prefix)
      const keys = [key(bird, 1), key(nest, 2), key(census)]
      await put(keys)
      await write(`begin; ${A_BIRD}; truncate invalidation.event; commit`)
      if (!isRunning) opened.push(startInvalidator(options))
      await until(async () => (await left(keys)).length === 0)
    })
  }

  for (const [what, sql, flushes] of [
    ['truncated', 'truncate bird cascade', { 'bird: T': 1, 'nest: T': 1, 'census: T': 1 }],
    [
      'changed in bulk',
      `update bird set weight = 1`,
      { 'bird: B': 1, 'nest: B': 1, 'census: B': 1 },
    ],
    ['flushed on request', `select invalidation.flush('nest:*')`, { 'nest: F': 1 }],
  ] as const) {
    it(`flushes all resources of a table that was ${what}`, async () => {
      await write(`insert into bird select id from generate_series(1, 10001) id`)
      const one = await start()
      await one.flushes()
      const keys = { bird: one.key(bird, 123456), nest: one.key(nest, 9), census: one.key(census) }
      const gone = await one.gone(Object.values(keys), async () => {
        await write(sql)
        await one.apply()
      })
      expect(await one.flushes()).to.eql(flushes)
      expect(gone).to.eql(
        Object.entries(keys).flatMap(([name, key]) =>
          Object.keys(flushes).some((flush) => flush.startsWith(name)) ? [key] : [],
        ),
      )
    })
  }

  it('flushes all resources of a table with a missing column, and is exact once it is back', async () => {
    await write(A_BIRD)
    const one = await start()
    await one.flushes()
    await write('alter table bird rename weight to mass')
    await write(`update bird set name = 'x'`)
    await one.apply()
    expect(await one.flushes()).to.eql({ 'bird: X': 1, 'nest: X': 1, 'census: X': 1 })
    await write('alter table bird rename mass to weight')
    const keys = [one.key(bird, 1), one.key(bird, 2)]
    const gone = await one.gone(keys, async () => {
      await write(`update bird set name = 'y'`)
      await one.apply()
    })
    expect(gone).to.eql([one.key(bird, 1)])
    expect(await one.flushes()).to.eql({})
  })

  it('flushes instead of reading a backlog that is too large', async () => {
    const one = await start()
    await one.flushes()
    await write(`insert into invalidation.event select 0, pg_current_xact_id(), 1, id, 'U', -1, '[["1"]]', now()
      from invalidation.watched_table, generate_series(1, 50001) where name = 'nest'`)
    expect(await one.apply()).to.equal(50_001)
    expect(await one.flushes()).to.eql({ 'bird: backlog': 1 })
  })

  it('acquires a resource later and continues from its own watermark', async () => {
    const one = await start({ owned: [bird], idle: true })
    await one.apply()
    await write(A_BIRD)
    one.worker.acquire([nest])
    const keys = [one.key(bird, 1), one.key(nest, 2), one.key(nest, 4)]
    expect(await one.gone(keys, () => one.apply())).to.eql(keys)
    expect((await one.mark(nest))?.snapshot).to.eql((await one.mark(bird))?.snapshot)
    await write(`update bird set name = 'x'`)
    expect(await one.gone(keys, () => one.apply())).to.eql([one.key(bird, 1), one.key(nest, 2)])
    expect(one.worker.cursors.map(({ resource }) => resource)).to.eql(['bird', 'nest'])
  })

  it('updates asOf while nothing changes, and the snapshot after a change', async () => {
    const one = await start()
    const first = await one.mark(bird)
    await until(async () => {
      await one.apply()
      return ((await one.mark(bird))?.asOfMs ?? 0) > (first?.asOfMs ?? 0)
    })
    await write(A_BIRD)
    await one.apply()
    const { rows } = await log.client.query<{ seen: boolean }>(
      'select pg_visible_in_snapshot(xid, $1) as seen from invalidation.event',
      [(await one.mark(bird))?.snapshot.text],
    )
    expect(rows).to.eql([{ seen: true }])
  })

  it('stores an asOf from before the snapshot', async () => {
    let birds = 0
    let required = 0
    // Rows inserted from here on may be in the window, but need not be.
    const insertBird = () => write(`insert into bird values (${++birds})`)
    const one = await start({
      // Each bucket has a clock. One of them shows the order.
      wrapInvalidationStore: (invalidationStore, bucket) => ({
        ...invalidationStore,
        async time() {
          const time = await invalidationStore.time()
          if (bucket === 0) await insertBird()
          return time
        },
        async apply(...advances) {
          if (bucket > 0) return invalidationStore.apply(...advances)
          required = birds
          const report = await invalidationStore.apply(...advances)
          await insertBird()
          return report
        },
      }),
    })
    const seen = required
    const keysTo = (last: number) =>
      Array.from({ length: last - seen }, (_, index) => one.key(bird, seen + 1 + index))
    const gone = await one.gone(keysTo(seen + 5), () => one.apply())
    expect(required).to.be.above(seen)
    expect(gone).to.eql(keysTo(required))
  })

  describe('a lookup', () => {
    it('sees exactly the snapshot of the watermark; later commits belong to the next window', async () => {
      await write(A_BIRD)
      const one = await start()
      const keys = [one.key(bird, 1), one.key(bird, 2)]
      beforeQuery(one.session.client, /nest_id = any/, () =>
        write(`insert into bird values (2, 'late', 1, '{}', 2)`),
      )
      await write(`update nest set place = 'x' where id = 2`)
      expect(await one.gone(keys, () => one.apply())).to.eql([one.key(bird, 1)])
      expect(await one.gone(keys, () => one.apply())).to.eql([one.key(bird, 2)])
    })

    it('that fails flushes its resource once, and others are applied exactly', async () => {
      await write(A_BIRD)
      const one = await start()
      await one.flushes()
      const keys = [one.key(bird, 1), one.key(bird, 7), one.key(nest, 2), one.key(nest, 7)]
      beforeQuery(one.session.client, /nest_id = any/, () => Promise.reject(new Error('no')))
      const first = await one.mark(nest)
      const gone = await one.gone(keys, async () => {
        await write(`update nest set place = 'y' where id = 2; update bird set name = 'y'`)
        await one.apply()
      })
      expect(gone).to.eql([one.key(bird, 1), one.key(bird, 7), one.key(nest, 2)])
      expect(await one.flushes()).to.eql({ 'bird: lookup failed': 1 })
      expect((await one.mark(nest))?.snapshot.text).not.to.equal(first?.snapshot.text)
      expect(await one.gone(keys, () => one.apply())).to.eql([])
    })

    it('gives up its locks to a writer that locks two tables, before Postgres cancels the writer', async () => {
      await write(A_BIRD)
      const one = await start()
      await one.flushes()
      const { client } = one.session
      const keys = [one.key(bird, 1), one.key(bird, 7)]
      const other = await log.connect()
      await write(`update nest set place = 'z' where id = 2`)
      await other.query('begin; lock table bird in access exclusive mode')
      let locked: Promise<unknown> | undefined
      beforeQuery(client, /nest_id = any/, async () => {
        // Another lookup of the same transaction may hold this lock.
        await client.query('select from nest limit 0')
        locked = other.query('lock table nest in access exclusive mode')
        await until(async () => {
          const { rows } = await log.client.query(
            `select from pg_locks where not granted and relation = 'nest'::regclass`,
          )
          return rows.length > 0
        })
      })
      const gone = one.gone(keys, () => one.apply())
      await until(() => locked !== undefined)
      await locked
      await other.query('commit')
      expect(await gone).to.eql(keys)
      expect(await one.flushes()).to.eql({ 'bird: lookup failed': 1 })
    })

    it('that waits too long for a lock fails together with the remaining ones, which need the same lock', async () => {
      const catalog = [bird, { ...bird, name: 'flock', key: 'flock:{id}' }]
      await using birds = await openBirds(catalog)
      const one = await start({ databaseUrl: birds.url, catalog })
      await one.flushes()
      const { client } = one.session
      const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>
      let limits = 0
      client.query = (async (...args: unknown[]) => {
        if (String(args[0]).includes(`'enable_seqscan', 'on'`)) limits++
        return query(...args)
      }) as typeof client.query
      const other = await birds.connect()
      await birds.client.query(`update nest set place = 'z' where id = 2`)
      await other.query('begin; lock table bird in access exclusive mode')
      await one.apply()
      await other.query('rollback')
      expect(await one.flushes()).to.eql({ 'bird: lookup failed': 1, 'flock: lookup failed': 1 })
      expect(limits, 'number of lookup batches').to.equal(1)
    })

    for (const [what, query] of [
      ['is wrong SQL', 'select no_such_column from bird where id = any ($1::text[]::bigint[])'],
      ['finds no parameter', 'select 1 as something_else where $1::text[] is not null'],
      ['cannot read its arguments', `select ($1::text[])[1]::json->>'x' as id`],
    ] as const) {
      it(`that ${what} flushes its resource each time, and the worker continues`, async () => {
        const broken: ResourceRules = {
          ...bird,
          staleWhen: [{ table: 'nest', watch: ['place'], from: ['place'], query }],
        }
        await using other = await openBirds([broken, nest])
        const one = await start({ databaseUrl: other.url, catalog: [broken, nest] })
        await one.flushes()
        for (let round = 0; round < 2; round++) {
          await other.client.query(`update nest set place = 'p${round}' where id = 2`)
          await one.apply()
          expect(await one.flushes()).to.eql({ 'bird: lookup failed': 1 })
          await one.apply()
          expect(await one.flushes()).to.eql({})
        }
        await other.client.query(`insert into bird values (1, 'a', 1, '{}', 2)`)
        expect(await one.gone([one.key(nest, 2)], () => one.apply())).to.have.lengthOf(1)
      })
    }
  })

  describe('with a watermark in Redis', () => {
    it('continues from the watermark of another owner', async () => {
      const one = await start()
      const other = await start({ prefix: one.prefix })
      const keys = [one.key(bird, 1), one.key(bird, 2)]
      await write(A_BIRD)
      expect(await one.gone(keys, () => other.apply())).to.eql([one.key(bird, 1)])
      await write('insert into bird values (2)')
      await one.flushes()
      // The first worker detects the other one, reads the watermark again and may repeat events.
      expect(await one.gone(keys, () => one.apply())).to.eql([])
      expect(one.worker.mustRepeat).to.be.true
      expect(await one.gone(keys, () => one.apply())).to.eql([one.key(bird, 2)])
      expect(one.worker.mustRepeat).to.be.false
      expect(await one.flushes()).to.eql({})
    })

    it('continues after Redis was restored to an older state', async () => {
      const one = await start()
      const old = await one.redis.hgetall(watermarkKey(one.prefix))
      await write(A_BIRD)
      await one.apply()
      await one.flushes()
      await one.redis.hset(watermarkKey(one.prefix), old)
      const gone = await one.gone([one.key(bird, 1), one.key(bird, 2)], async () => {
        await until(async () => (await one.apply()) > 0)
      })
      expect(gone).to.eql([one.key(bird, 1)])
      expect(await one.flushes()).to.eql({})
    })

    it('flushes everything after Redis lost its data', async () => {
      const one = await start()
      await one.flushes()
      await one.redis.del(watermarkKey(one.prefix))
      await until(async () => {
        await one.apply()
        return (await one.mark(census)) !== null
      })
      expect(Object.keys(await one.flushes())).to.have.members(
        BIRDS.map(({ name }) => `${name}: no watermark`),
      )
      expect(await one.mark(bird)).not.to.equal(null)
    })

    it('flushes only the resource whose watermark was deleted', async () => {
      const one = await start()
      await one.flushes()
      await one.redis.hdel(watermarkKey(one.prefix), 'nest')
      const keys = [one.key(bird, 9), one.key(nest, 9)]
      await one.put(keys)
      await until(async () => {
        await one.apply()
        return (await one.mark(nest)) !== null
      })
      expect(await one.flushes()).to.eql({ 'nest: no watermark': 1 })
      expect(await one.left(keys)).to.eql([one.key(bird, 9)])
    })

    for (const [what, change] of [
      [
        'of the database that this one was promoted from',
        (mark: Watermark) => {
          const [system, database, timeline] = mark.origin.split('.')
          const origin = `${system}.${database}.${Number(timeline) - 1}`
          return { ...mark, incarnation: 'other', origin }
        },
      ],
      [
        'of a database with a later snapshot',
        (mark: Watermark) => {
          const xmax = mark.snapshot.xmax + 1_000_000n
          return { ...mark, snapshot: { ...mark.snapshot, text: `${xmax}:${xmax}:` } }
        },
      ],
      ['of another key version', (mark: Watermark) => ({ ...mark, keyVersion: 2 })],
    ] as const) {
      it(`flushes if it is the watermark ${what}`, async () => {
        const one = await start()
        const found = (await one.mark(bird)) as Watermark
        await one.redis.hset(watermarkKey(one.prefix), 'bird', encodeWatermark(change(found)))
        const next = await start({ prefix: one.prefix, idle: true })
        const keys = [next.key(bird, 9), next.key(nest, 9)]
        expect(await next.gone(keys, () => next.apply())).to.eql([next.key(bird, 9)])
        expect(await next.mark(bird)).to.include({
          incarnation: found.incarnation,
          keyVersion: 1,
        })
        expect(await next.gone(keys, () => next.apply())).to.eql([])
      })
    }

    describe('of another running system', () => {
      const foreign = (mark: Watermark, fields: Partial<Watermark> = {}) =>
        encodeWatermark({ ...mark, incarnation: 'other', ...fields })

      it('does not overwrite it while it advances, and flushes once it has stopped', async () => {
        const one = await start()
        const found = (await one.mark(bird)) as Watermark
        const next = await start({ prefix: one.prefix, idle: true })
        const keys = [next.key(bird, 9), next.key(nest, 9)]
        let asOfMs = found.asOfMs
        const apply = async () => {
          await one.redis.hset(watermarkKey(one.prefix), 'bird', foreign(found, { asOfMs }))
          return next.gone(keys, () => next.apply())
        }
        const movedUntilMs = performance.now() + 3_000
        await until(async () => {
          asOfMs++
          expect(await apply()).to.eql([])
          return performance.now() > movedUntilMs
        })
        expect(next.worker.mustRepeat, 'other resources are not repeated').to.be.false
        await until(async () => (await apply()).includes(next.key(bird, 9)))
        expect(await next.mark(bird)).to.include({ incarnation: found.incarnation })
      })

      it('never overwrites it if that system was promoted from ours', async () => {
        const one = await start()
        const found = (await one.mark(bird)) as Watermark
        const [system, database, timeline] = found.origin.split('.')
        const origin = `${system}.${database}.${Number(timeline) + 1}`
        await one.redis.hset(watermarkKey(one.prefix), 'bird', foreign(found, { origin }))
        const next = await start({ prefix: one.prefix, idle: true })
        const untilMs = performance.now() + 3_000
        await until(async () => {
          await next.apply()
          return performance.now() > untilMs
        })
        expect(await next.mark(bird)).to.include({ incarnation: 'other' })
      })
    })

    it('flushes if later events are no longer retained', async () => {
      // Checkpoints and cursors of other tests would prevent pruning.
      await log.client.query('truncate invalidation.checkpoint, invalidation.cursor')
      const one = await start()
      await write(A_BIRD)
      const ahead = await start()
      for (let aheadS = 0; aheadS <= 2400; aheadS += 60) {
        await recordCursors(log.client, 'r', ahead.worker.cursors)
        await pruneEventLog(log.client, { aheadS })
      }
      const { rows } = await log.client.query('select from invalidation.event')
      expect(rows).to.eql([])
      const next = await start({ prefix: one.prefix, idle: true })
      const keys = [next.key(bird, 1), next.key(nest, 9)]
      expect(await next.gone(keys, () => next.apply())).to.eql(keys)
      await log.client.query(
        'truncate invalidation.retention_floor, invalidation.checkpoint, invalidation.cursor',
      )
    })
  })

  describe('when Redis fails during a window', () => {
    const failing = (
      when: 'before' | 'after',
    ): [(invalidationStore: InvalidationStore) => InvalidationStore, { fail: boolean }] => {
      const state = { fail: false }
      return [
        (invalidationStore) => ({
          ...invalidationStore,
          async apply(advances) {
            if (state.fail && when === 'before') throw new Error('Redis is away')
            const report = await invalidationStore.apply(advances)
            if (state.fail) throw new Error('Redis is away')
            return report
          },
        }),
        state,
      ]
    }

    for (const when of ['before', 'after'] as const) {
      it(`repeats the window if Redis fails ${when} it was stored`, async () => {
        const [wrapInvalidationStore, state] = failing(when)
        const one = await start({ wrapInvalidationStore })
        const keys = [one.key(bird, 1), one.key(bird, 2)]
        state.fail = true
        await write(A_BIRD)
        await one.put(keys)
        // In a cluster each bucket fails alone, and is tried again after a pause.
        const isOneServer = one.buckets.count === 1
        const failure = 'Error: Redis is away'
        expect(await one.apply().catch(String)).to.equal(isOneServer ? failure : 1)
        one.worker.rereadWatermarks()
        await write('insert into bird values (3)')
        expect(await one.apply().catch(String)).to.equal(failure)
        one.worker.rereadWatermarks()
        state.fail = false
        await write('insert into bird values (2)')
        await until(async () => {
          await one.apply().catch(() => {})
          return isOneServer || (await one.left(keys)).length === 0
        })
        expect(await one.left(keys)).to.eql([])
        expect(Object.keys(await one.flushes())).to.have.lengthOf(3)
      })
    }

    it('rereads and repeats only the resources that a report omits', async () => {
      let hide = false
      const one: Settled = await start({
        wrapInvalidationStore: (invalidationStore, bucket) => ({
          ...invalidationStore,
          async apply(advances) {
            if (!hide || bucket !== one.buckets.bucketOf(one.key(bird, 1)))
              return invalidationStore.apply(advances)
            hide = false
            return invalidationStore.apply(
              advances.filter(({ resource }) => resource.name !== 'bird'),
            )
          },
        }),
      })
      await one.flushes()
      hide = true
      await write(A_BIRD)
      const keys = [one.key(bird, 1), one.key(nest, 2)]
      expect(await one.gone(keys, () => one.apply())).to.eql([one.key(nest, 2)])
      expect(await one.gone(keys, () => one.apply())).to.eql([one.key(bird, 1)])
      expect(await one.flushes()).to.eql({})
    })
  })

  describe('when Postgres fails during a window', () => {
    it('continues on the same connection after an error', async () => {
      const one = await start()
      await write(A_BIRD)
      beforeQuery(one.session.client, /invalidation.event/, () => Promise.reject(new Error('no')))
      expect(await one.apply().catch(String)).to.equal('Error: no')
      expect(await one.gone([one.key(bird, 1)], () => one.apply())).to.have.lengthOf(1)
    })

    it('continues on the same connection after the log is reinstalled with other rules', async () => {
      await using other = await openBirds()
      const one = await start({ databaseUrl: other.url })
      await other.client.query(A_BIRD)
      await one.apply()
      await uninstall(other.url, 0)
      expect(await one.apply().catch(String)).to.include('does not exist')
      one.worker.rereadWatermarks()
      expect(await one.apply().catch(String)).to.include('does not exist')
      one.worker.rereadWatermarks()
      // The same table ids now refer to other tables and columns.
      const { tables } = compileRules(BIRDS)
      await other.install({ tables: tables.filter(({ name }) => name === 'nest') })
      await other.install({
        tables: tables.map((table) =>
          table.name === 'bird' ? { ...table, watch: [...table.watch, 'notes'] } : table,
        ),
      })
      await one.flushes()
      await one.apply()
      expect(await one.flushes()).to.eql({
        'bird: no watermark': 1,
        'nest: no watermark': 1,
        'census: no watermark': 1,
      })
      const keys = [1, 2, 3, 5].flatMap((id) => [one.key(bird, id), one.key(nest, id)])
      keys.push(one.key(census))
      const gone = await one.gone(keys, async () => {
        await other.client.query(`update bird set nest_id = 5`)
        await one.apply()
      })
      expect(gone).to.have.members([one.key(bird, 1), one.key(nest, 2), one.key(nest, 5)])
      expect(await one.flushes()).to.eql({})
    })
  })
})

/** Runs an action before the next matching query; if it fails, the query fails. */
function beforeQuery(client: Client, pattern: RegExp, act: () => Promise<unknown>): void {
  const query = client.query.bind(client)
  const run = query as (...args: unknown[]) => Promise<unknown>
  client.query = (async (...args: unknown[]) => {
    const [first] = args
    const text = typeof first === 'string' ? first : (first as { text: string }).text
    if (pattern.test(text)) {
      client.query = query
      await act()
    }
    return run(...args)
  }) as typeof query
}
