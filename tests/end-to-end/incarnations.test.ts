import { expect } from 'chai'
import { Client } from 'pg'
import {
  type AdvanceReport,
  decodeWatermark,
  type InvalidationStore,
  type Redis,
  watermarkKey,
} from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import { createProxy } from '../support/chaos-proxy.ts'
import { newPrefix, startInvalidator } from '../support/invalidator.ts'
import { itLong } from '../support/long.ts'
import { type CopyablePostgres, startPrivatePostgres } from '../support/private-postgres.ts'
import { startSystem, type System } from '../support/system.ts'
import { until } from '../support/until.ts'

// A bound so long that it cannot make answers correct in this test.
const HOUR_MS = 3_600_000
/** An API checks the incarnation of its connections every second, and broken connections take longer. */
const NOTICED_MS = 10_000
/** After this number of transactions, snapshots of the copy include all transaction ids of the original. */
const AHEAD = 300

describe('a new incarnation of the database', function () {
  this.timeout(90_000)

  /** A stopped server. Each test starts copies of it. */
  let base: CopyablePostgres
  let ids: readonly [string, string]
  before(async () => {
    base = await startPrivatePostgres()
    const rows = await query<{ id: string }>(
      base.url,
      `update users_publicstaffprofile set about = 'at first' where id in
         (select p.id from users_publicstaffprofile p join users_user u on u.id = p.user_id
          where not p.is_hidden and u.is_active and u.is_staff limit 2) returning id`,
    )
    const [first, second] = rows.map(({ id }) => id)
    ids = [first ?? '', second ?? '']
    await base.stop()
  })
  after(() => base[Symbol.asyncDispose]())

  const start = (databaseUrl: string) =>
    startSystem({ databaseUrl, env: { MAX_STALENESS_MS: `${HOUR_MS}` } })

  const write = (url: string, about: string, id = ids[0]) =>
    query(url, 'update users_publicstaffprofile set about = $1 where id = $2', [about, id])

  const read = (system: System, id = ids[0]) => system.get(`users/staffprofiles/${id}/hero`)

  const untilHit = (system: System, about: string, id = ids[0]) =>
    until(async () => {
      const { cache, text } = await read(system, id)
      return cache === 'hit' && text.includes(`"${about}"`)
    })

  /** Expects answers to show a value in time, to show nothing else afterwards, and to be cached. */
  async function expectFromNowOn(system: System, about: string, id = ids[0]): Promise<void> {
    const sinceMs = performance.now()
    await until(async () => (await read(system, id)).text.includes(`"${about}"`))
    expect(performance.now() - sinceMs).to.be.below(NOTICED_MS)
    await until(async () => {
      const { cache, text } = await read(system, id)
      expect(text).to.contain(`"${about}"`)
      return cache === 'hit'
    })
  }

  it('hides data of the original when a copy replaces it, and data of the copy when the original returns', async () => {
    await using original = await base.copy()
    await using system = await start(original.url)
    await write(original.url, 'of both')
    await Promise.all([untilHit(system, 'of both'), untilHit(system, 'at first', ids[1])])

    await original.stop()
    await using copy = await original.copy({ inItsPlace: true })
    await query(
      copy.url,
      `do $$ begin for n in 1..${AHEAD} loop
         update users_publicstaffprofile set about = 'of the copy, ' || n; commit;
       end loop; end $$`,
    )
    await write(copy.url, 'of the copy')
    await expectFromNowOn(system, 'of the copy')
    await write(copy.url, 'of the copy', ids[1])
    await untilHit(system, 'of the copy', ids[1])

    await copy.stop()
    await original.start()
    // The copy has already used the transaction ids of this write.
    await write(original.url, 'of the original', ids[1])
    await expectFromNowOn(system, 'of the original', ids[1])
    await expectFromNowOn(system, 'of both')
    await write(original.url, 'of the original')
    await untilHit(system, 'of the original')
  })

  describe('a window that was read before a failover', () => {
    const orders = [
      { when: 'before the next incarnation begins', isLate: false },
      { when: 'after another replica has begun the next incarnation', isLate: true },
    ]
    for (const { when, isLate } of orders) {
      it(`shows no lost commits if it reaches Redis ${when}`, async () => {
        await using primary = await base.copy()
        // It receives none of the following writes.
        await using standby = await base.copy({ standby: true })
        await using proxy = await createProxy(primary.url)
        await proxy.listen()
        await using system = await start(proxy.url)
        await system.invalidator.kill()
        const { prefix } = system
        const replica = { databaseUrl: proxy.url, catalog, prefix }
        const gate = createGate()
        await using first = startInvalidator({
          ...replica,
          wrapInvalidationStore: gate.wrapInvalidationStore,
        })
        await write(primary.url, 'lost')
        await untilHit(system, 'lost')

        gate.close()
        await write(primary.url, 'lost as well', ids[1])
        await until(() => gate.isHolding)
        await primary.crash()
        await query(standby.url, 'select pg_promote()')
        proxy.lead(standby.url)
        await using second = isLate
          ? startInvalidator({ ...replica, applicationName: 'spms-test-second' })
          : undefined
        if (second) await until(() => areOfIncarnation(second.redis, prefix, standby.url))

        const { stored } = await gate.open()
        expect(stored.size).to.equal(isLate ? 0 : catalog.length)
        await until(() => areOfIncarnation(first.redis, prefix, standby.url))
        for (const id of ids) await expectFromNowOn(system, 'at first', id)
        await write(standby.url, 'afterwards')
        await untilHit(system, 'afterwards')
      })
    }
  })

  const ends = [
    { test: it, how: 'has crashed', end: (postgres: CopyablePostgres) => postgres.crash() },
    { test: itLong, how: 'was restarted', end: (postgres: CopyablePostgres) => postgres.stop() },
  ]
  for (const { test, how, end } of ends) {
    test(`flushes each resource exactly once if two replicas detect at once that Postgres ${how}`, async () => {
      await using postgres = await base.copy()
      const replica = { databaseUrl: postgres.url, catalog, prefix: newPrefix() }
      const records = [createRecord(), createRecord()] as const
      await using first = startInvalidator({
        ...replica,
        wrapInvalidationStore: records[0].wrapInvalidationStore,
      })
      await using _ = startInvalidator({
        ...replica,
        wrapInvalidationStore: records[1].wrapInvalidationStore,
      })
      const areShared = () =>
        records.every(({ moved }) => moved.size >= Math.floor(catalog.length / 2))
      const areAllOfThisIncarnation = () =>
        areOfIncarnation(first.redis, replica.prefix, postgres.url)
      await until(async () => areShared() && (await areAllOfThisIncarnation()))

      await end(postgres)
      for (const record of records) record.clear()
      await postgres.start()
      await until(async () => areShared() && (await areAllOfThisIncarnation().catch(() => false)))
      const flushed = records.flatMap((record) => record.flushed)
      expect(flushed).to.have.members(catalog.map(({ name }) => name))
      expect(await query(postgres.url, 'select from invalidation.incarnation')).to.have.lengthOf(1)
    })
  }
})

async function query<Row extends object>(
  url: string,
  text: string,
  values: readonly string[] = [],
): Promise<Row[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Row>(text, [...values])).rows
  } finally {
    await client.end()
  }
}

/** Whether all watermarks have the current incarnation of a database. */
async function areOfIncarnation(redis: Redis, prefix: string, url: string): Promise<boolean> {
  const [incarnation] = await query<{ id: string }>(
    url,
    'select id from invalidation.current_incarnation',
  )
  const stored = await redis.hgetall(watermarkKey(prefix))
  return (
    incarnation !== undefined &&
    catalog.every(
      ({ name }) => decodeWatermark(stored[name] ?? null)?.incarnation === incarnation.id,
    )
  )
}

/** Creates a gate that can hold a worker between reading a window with events and applying it. */
function createGate() {
  let opened: Promise<void> | undefined
  let release = () => {}
  let held: Promise<AdvanceReport> | undefined
  return {
    wrapInvalidationStore: (invalidationStore: InvalidationStore): InvalidationStore => ({
      ...invalidationStore,
      async apply(advances, between) {
        if (!opened || advances.every(({ keys }) => keys.size === 0)) {
          return invalidationStore.apply(advances, between)
        }
        const waiting = opened
        opened = undefined
        held = waiting.then(() => invalidationStore.apply(advances, between))
        return held
      },
    }),
    close() {
      opened = new Promise((resolve) => (release = resolve))
    },
    get isHolding() {
      return held !== undefined
    },
    /** Releases the held window. Returns its report. */
    async open(): Promise<AdvanceReport> {
      release()
      return held as Promise<AdvanceReport>
    },
  }
}

/** Records which resources a worker advanced, and which it flushed. */
function createRecord() {
  const moved = new Set<string>()
  const flushed: string[] = []
  return {
    moved,
    flushed,
    clear() {
      moved.clear()
      flushed.length = 0
    },
    wrapInvalidationStore: (invalidationStore: InvalidationStore): InvalidationStore => ({
      ...invalidationStore,
      async apply(advances, between) {
        const report = await invalidationStore.apply(advances, between)
        for (const { resource, flush } of advances) {
          if (!report.stored.has(resource.name)) continue
          moved.add(resource.name)
          if (flush) flushed.push(resource.name)
        }
        return report
      },
    }),
  }
}
