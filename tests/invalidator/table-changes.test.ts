import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { decodeWatermark, DISABLED } from '../../shared/cache/index.ts'
import { readStatus } from '../../db/event-log/index.ts'
import type { EventLog } from '../event-log/event-log.ts'
import { openWorker, type TestWorker } from '../support/invalidator.ts'
import { bird, BIRDS, census, type Entries, entriesOf, nest, openBirds } from './birds.ts'

/**
 * `nest` and `census` depend on the table `bird`; `bird` depends on the tables `bird` and `nest`.
 */
describe('a watched table that is changed after installation', () => {
  let log: EventLog
  let worker: TestWorker
  let entries: Entries

  // Each case reverts its change.
  before(async () => {
    log = await openBirds()
    await log.client.query(`insert into bird values (1, 'wren', 9, '{}', 2)`)
    worker = await openWorker({ databaseUrl: log.url, catalog: BIRDS, inspectEveryMs: 0 })
    entries = entriesOf(worker.redis, worker.prefix)
    worker.worker.acquire(BIRDS)
    await apply()
  })
  after(async () => {
    await worker[Symbol.asyncDispose]()
    await log[Symbol.asyncDispose]()
  })

  const sql = (text: string) => log.client.query(text)
  const apply = () => worker.worker.applyWindow()
  const keys = () => [entries.key(bird, 9), entries.key(nest, 9), entries.key(census)]
  const disabled = async () => {
    const marks = await Promise.all(
      BIRDS.map(async ({ name }) => ({
        name,
        mark: decodeWatermark(await worker.invalidationStore.read(name)),
      })),
    )
    return marks.filter(({ mark }) => mark?.keyVersion === DISABLED).map(({ name }) => name)
  }
  const causes = async () => (await readStatus(log.url)).damaged.map(({ text }) => text)

  const ALL = ['bird', 'nest', 'census']

  for (const [what, change, repair, cause, names] of [
    [
      'inherits from another',
      `create table animal (like bird); alter table bird inherit animal`,
      'alter table bird no inherit animal; drop table animal',
      /^bird is a partition or inherits/,
      ALL,
    ],
    [
      'has a child table',
      'create table parrot () inherits (bird)',
      'drop table parrot; analyze bird',
      /^bird has partitions, or other tables inherit from it/,
      ALL,
    ],
    [
      'has had a child table since the last ANALYZE',
      'create table parrot () inherits (bird); drop table parrot',
      'analyze bird',
      /^other tables inherited from bird once: analyze bird/,
      ALL,
    ],
    [
      'becomes a partition',
      `create table tree (like nest) partition by list (id);
       alter table tree attach partition nest default`,
      'alter table tree detach partition nest',
      /^nest is a partition or inherits/,
      ['bird'],
    ],
    [
      'gives a key column a type without a stable text',
      'alter table bird drop constraint bird_nest_id_fkey, alter nest_id type numeric',
      'alter table bird alter nest_id type bigint',
      /^bird\.nest_id cannot be a key: numeric/,
      ['nest'],
    ],
    [
      'loses a column that a resource watches',
      'alter table bird rename weight to mass',
      'alter table bird rename mass to weight',
      /^bird has no column weight/,
      ['bird', 'census'],
    ],
    [
      'loses its primary key',
      'alter table bird drop constraint bird_pkey cascade',
      'alter table bird add primary key (id)',
      /^bird has no primary key/,
      ALL,
    ],
    [
      'gets another primary key',
      `alter table bird drop constraint bird_pkey cascade;
       update bird set name = coalesce(name, ''); alter table bird add primary key (id, name)`,
      `alter table bird drop constraint bird_pkey; alter table bird add primary key (id);
       alter table bird alter name drop not null`,
      /^bird has another primary key than its triggers were made for/,
      ALL,
    ],
    [
      'has row level security enabled',
      'alter table nest enable row level security',
      'alter table nest disable row level security',
      /^row level security is enabled on nest/,
      ['bird'],
    ],
    [
      'is replaced by a view',
      'alter table nest rename to nest_1; create view nest as select * from nest_1',
      'drop view nest; alter table nest_1 rename to nest',
      /^nest is not an ordinary table but a view/,
      ['bird'],
    ],
    [
      'is replaced by a partitioned table',
      'alter table nest rename to nest_1; create table nest (id bigint primary key, place text) partition by list (id)',
      'drop table nest; alter table nest_1 rename to nest',
      /^nest is not an ordinary table but a partitioned table/,
      ['bird'],
    ],
    [
      'is replaced by a foreign table',
      `create foreign data wrapper far; create server far foreign data wrapper far;
       alter table nest rename to nest_1;
       create foreign table nest (id bigint, place text) server far`,
      'drop foreign table nest; alter table nest_1 rename to nest',
      /^nest is not an ordinary table but a foreign table/,
      ['bird'],
    ],
    [
      'has an event log with row level security',
      'alter table invalidation.event_2 enable row level security',
      'alter table invalidation.event_2 disable row level security',
      /^row level security is enabled on invalidation\.event_2/,
      ALL,
    ],
    [
      'has an event log with a rewrite rule',
      'create rule nothing as on insert to invalidation.event do instead nothing',
      'drop rule nothing on invalidation.event',
      /^invalidation\.event has triggers or rules that are not ours/,
      ALL,
    ],
    [
      'has an event log without one segment',
      'alter table invalidation.event detach partition invalidation.event_1',
      'alter table invalidation.event attach partition invalidation.event_1 for values in (1)',
      /^the segments are not the partitions of invalidation\.event/,
      ALL,
    ],
    [
      'has an event log with a logged incarnation table',
      'alter table invalidation.incarnation set logged',
      'alter table invalidation.incarnation set unlogged',
      /^invalidation\.incarnation is not unlogged/,
      ALL,
    ],
    [
      'has an event log with a segment that can be emptied unnoticed',
      'alter table invalidation.event_1 disable trigger end_incarnation',
      'alter table invalidation.event_1 enable always trigger end_incarnation',
      /^invalidation\.event_1 lacks its trigger for TRUNCATE/,
      ALL,
    ],
  ] as const) {
    it(`disables its resources while it ${what}, and flushes them afterwards`, async () => {
      await sql(change)
      await apply()
      expect(await disabled()).to.eql(names)
      const found = await causes()
      expect(
        found.some((text) => cause.test(text)),
        found.join('\n'),
      ).to.be.true
      await sql(repair)
      const kept = keys().filter((_, at) => names.some((name) => name === ALL[at]))
      expect(await entries.gone(keys(), apply)).to.include.members(kept)
      expect(await disabled()).to.eql([])
      expect(await causes()).to.eql([])
    })
  }

  for (const [what, change] of [
    [
      'was changed through a temporary parent',
      `create table animal (id bigint, weight numeric); begin; alter table bird inherit animal;
       update animal set weight = 17; alter table bird no inherit animal; commit; drop table animal`,
    ],
    [
      'temporarily had a child',
      `begin; create table parrot () inherits (bird); insert into parrot values (17); commit;
       drop table parrot; analyze bird`,
    ],
    [
      // A crash meanwhile would have emptied the segments only.
      'temporarily had a logged incarnation',
      'alter table invalidation.incarnation set logged; alter table invalidation.incarnation set unlogged',
    ],
    [
      'temporarily had no trigger on a segment',
      `alter table invalidation.event_1 disable trigger end_incarnation;
       alter table invalidation.event_1 enable always trigger end_incarnation`,
    ],
    [
      'temporarily had row level security',
      'alter table bird enable row level security; alter table bird disable row level security',
    ],
  ] as const) {
    it(`flushes its resources if it ${what} between two inspections`, async () => {
      await sql(change)
      expect(await entries.gone(keys(), apply)).to.have.members(keys())
      expect(await disabled()).to.eql([])
    })
  }

  for (const [what, rule, write, end] of [
    [
      'DO ALSO',
      `create rule r as on update to nest do also update bird set name = new.place where nest_id = new.id`,
      `update nest set place = 'elm' where id = 2`,
      'drop rule r on nest',
    ],
    [
      'DO INSTEAD',
      `create rule r as on delete to bird do instead update bird set name = 'gone' where id = old.id`,
      'delete from bird where id = 1',
      'drop rule r on bird',
    ],
  ] as const) {
    it(`is invalidated exactly under a rewrite rule with ${what}`, async () => {
      await sql(rule)
      await apply()
      expect(await disabled()).to.eql([])
      expect(
        await entries.gone(
          [entries.key(bird, 1), entries.key(nest, 2), entries.key(nest, 9)],
          async () => {
            await sql(write)
            await apply()
          },
        ),
      ).to.eql([entries.key(bird, 1), entries.key(nest, 2)])
      await sql(end)
    })
  }

  it('is never read through row level security: lookups flush, windows fail without advancing', async () => {
    const role = `spms_filtered_${randomBytes(4).toString('hex')}`
    await sql(`create role ${role} login password 'x'; grant usage on schema invalidation to ${role};
      grant select on all tables in schema public, invalidation to ${role};
      grant execute on function invalidation.begin_incarnation() to ${role}`)
    const url = new URL(log.url)
    url.username = role
    url.password = 'x'
    // The inspection that would disable the resource runs too late.
    await using filtered = await openWorker({
      databaseUrl: url.href,
      catalog: BIRDS,
      inspectEveryMs: 3_600_000,
    })
    const own = entriesOf(filtered.redis, filtered.prefix)
    filtered.worker.acquire(BIRDS)
    await filtered.worker.applyWindow()
    for (const [change, repair] of [
      ['alter table bird enable row level security', 'alter table bird disable row level security'],
      [`revoke select on bird from ${role}`, `grant select on bird to ${role}`],
      [
        `revoke select on bird from ${role}; grant select (name) on bird to ${role}`,
        `grant select on bird to ${role}`,
      ],
    ] as const) {
      await sql(change)
      const stale = [own.key(bird, 1), own.key(bird, 'any')]
      const gone = await own.gone([...stale, own.key(nest, 9)], async () => {
        await sql(`update nest set place = place || 'x' where id = 2`)
        await filtered.worker.applyWindow()
      })
      expect(gone, change).to.eql(stale)
      await sql(repair)
    }

    for (const table of ['event', 'retention_floor', 'rules', 'build']) {
      const before = await filtered.invalidationStore.read('bird')
      await sql(`alter table invalidation.${table} enable row level security`)
      await using blind = await openWorker({
        databaseUrl: url.href,
        catalog: BIRDS,
        prefix: filtered.prefix,
      })
      blind.worker.acquire(BIRDS)
      await sql(`update nest set place = place || 'x' where id = 2`)
      const failure = await blind.worker.applyWindow().catch((error: unknown) => error)
      expect(failure, table).to.have.property('code', '42501')
      expect(String(failure)).to.contain('row-level security')
      expect(await filtered.invalidationStore.read('bird')).to.equal(before)
      await sql(`alter table invalidation.${table} disable row level security`)
    }
    await filtered[Symbol.asyncDispose]()
    await sql(`drop owned by ${role}; drop role ${role}`)
  })
})
