import { expect } from 'chai'
import { Client } from 'pg'
import {
  ConfigurationError,
  install,
  retireOthers,
  type RulesDefinition,
  uninstall,
  type WatchedTable,
} from '../../db/event-log/index.ts'
import { InstallTimeout, openInstaller } from '../../db/event-log/installation/installer.ts'
import { repeat } from '../support/repeat.ts'
import { until } from '../support/until.ts'
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts'
import { AVIARY, AVIARY_RULES } from './event-log.ts'

describe('install and uninstall', () => {
  let database: TestDatabase
  let client: Client

  before(async () => {
    database = await createEmptyDatabase()
    client = await connect()
  })
  after(async () => {
    await client.end()
    await database[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    await uninstall(database.url, 0)
    await client.query(`drop schema public cascade; create schema public; ${AVIARY}`)
  })

  async function connect(): Promise<Client> {
    const one = new Client({ connectionString: database.url })
    one.on('error', () => {})
    await one.connect()
    return one
  }

  /** Everything that an installation consists of, except the random incarnation id. */
  async function installation(): Promise<unknown[]> {
    const { rows } = await client.query<{ what: string }>(
      `select format('%s %s', pg_get_triggerdef(oid), tgenabled) as what from pg_trigger
         where not tgisinternal
       union all
       select pg_get_functiondef(oid) || coalesce(proacl::text, '') from pg_proc
         where pronamespace = to_regnamespace('invalidation')
       union all
       select format('%s %s %s %s', c.relname, c.relkind, c.relpersistence, c.reloptions)
         from pg_class c where relnamespace = to_regnamespace('invalidation')
       union all
       select format('%s.%s %s %s', c.relname, a.attname, a.atttypid::regtype, a.attnotnull)
         from pg_class c join pg_attribute a on a.attrelid = c.oid
         where relnamespace = to_regnamespace('invalidation') and attnum > 0
       order by 1`,
    )
    const data = await client
      .query(
        `select version::text as id, definition from invalidation.rules
         union all select digest, wanted from invalidation.build order by id`,
      )
      .then(
        ({ rows }) => rows,
        () => [],
      )
    return [...rows.map(({ what }) => what), data]
  }

  /** The transaction that last changed each trigger and function. */
  async function touches(): Promise<unknown[]> {
    const { rows } = await client.query(
      `select 'trigger ' || oid as what, xmin::text from pg_trigger where not tgisinternal
       union all select 'function ' || oid, xmin::text from pg_proc
         where pronamespace = to_regnamespace('invalidation')
       order by 1`,
    )
    return rows
  }

  const logs = async (sql: string) => {
    const count = async () =>
      Number((await client.query('select count(*) as n from invalidation.event')).rows[0].n)
    const before = await count()
    await client.query(sql)
    return (await count()) - before
  }

  it('changes nothing when installed again', async () => {
    const first = await install(database.url, AVIARY_RULES)
    expect(first).to.eql({ version: 1, tables: 3, changed: ['bird', 'nest', 'ring'], warnings: [] })
    const installed = await installation()
    const touched = await touches()
    const incarnation = await client.query('select id from invalidation.incarnation')

    const second = await install(database.url, AVIARY_RULES)
    expect(second).to.eql({ version: 1, tables: 3, changed: [], warnings: [] })
    expect(await installation()).to.eql(installed)
    expect(await touches(), 'a touched trigger would make every invalidator flush').to.eql(touched)
    expect((await client.query('select id from invalidation.incarnation')).rows).to.eql(
      incarnation.rows,
    )
  })

  it('warns of row level security on a table, which prevents caching, and installs', async () => {
    await client.query('alter table nest enable row level security')
    const { changed, warnings } = await install(database.url, AVIARY_RULES)
    expect(changed).to.eql(['bird', 'nest', 'ring'])
    expect(warnings.join()).to.match(/^row level security is enabled on nest/)
  })

  it('can be installed several times concurrently', async () => {
    const reports = await Promise.all(
      Array.from({ length: 4 }, () => install(database.url, AVIARY_RULES)),
    )
    expect(reports.map(({ version }) => version)).to.eql([1, 1, 1, 1])
    expect(reports.flatMap(({ changed }) => changed).toSorted()).to.eql(['bird', 'nest', 'ring'])
    expect(await logs('insert into bird values (1)')).to.equal(1)
  })

  it('prints SQL that creates the same installation', async () => {
    const printed: string[] = []
    await install(database.url, AVIARY_RULES, { print: (sql) => printed.push(sql) })
    expect(await installation(), 'printing installs nothing').to.eql([[]])
    for (const sql of printed) await client.query(sql)
    const byHand = await installation()

    await uninstall(database.url, 0)
    await install(database.url, AVIARY_RULES)
    expect(await installation()).to.eql(byHand)
    expect((await install(database.url, AVIARY_RULES)).changed).to.eql([])
  })

  describe('install repairs', () => {
    beforeEach(() => install(database.url, AVIARY_RULES))

    for (const [what, sql] of [
      ['a disabled trigger', 'alter table bird disable trigger zz_invalidation_update'],
      ['all triggers disabled', 'alter table bird disable trigger all'],
      [
        'a trigger that fires for origin only',
        'alter table bird enable trigger zz_invalidation_delete',
      ],
      ['a dropped trigger', 'drop trigger zz_invalidation_insert on bird'],
      ['a dropped truncate trigger', 'drop trigger zz_invalidation_truncate on bird'],
      ['a dropped function', 'drop function invalidation.log_update_1() cascade'],
      [
        'a replaced function',
        `create or replace function invalidation.log_update_1() returns trigger language plpgsql
           security definer as 'begin return null; end'`,
      ],
      [
        'a function with a setting',
        'alter function invalidation.log_update_1() set search_path = public',
      ],
      [
        'a function with the rights of the writer',
        'alter function invalidation.log_update_1() security invoker',
      ],
      [
        'a trigger that calls another function',
        `create or replace trigger zz_invalidation_update after update on bird
           referencing old table as old_rows new table as new_rows
           for each statement execute function invalidation.log_update_2();
         alter table bird enable always trigger zz_invalidation_update`,
      ],
      [
        'a trigger that never fires',
        `create or replace trigger zz_invalidation_delete after delete on bird
           referencing old table as old_rows
           for each statement when (false) execute function invalidation.log_delete_1();
         alter table bird enable always trigger zz_invalidation_delete`,
      ],
      [
        'a truncate trigger that logs another table',
        `create or replace trigger zz_invalidation_truncate after truncate on bird
           for each statement execute function invalidation.log_truncate(1, 2);
         alter table bird enable always trigger zz_invalidation_truncate`,
      ],
    ] as const) {
      it(what, async () => {
        const installed = await installation()
        await client.query(sql)
        expect((await install(database.url, AVIARY_RULES)).changed).to.eql(['bird'])
        expect(await installation()).to.eql(installed)
        expect(await logs(`insert into bird values (1, 'a'); update bird set name = 'b'`)).to.equal(
          2,
        )
        expect(await logs('delete from bird; truncate ring')).to.equal(2)
      })
    }

    for (const [change, sql] of [
      [
        'replaced',
        `create or replace function invalidation.log_truncate() returns trigger language plpgsql
           security definer set search_path = pg_catalog, pg_temp as 'begin return null; end'`,
      ],
      [
        'changed to security invoker',
        'alter function invalidation.log_truncate() security invoker',
      ],
    ] as const) {
      it(`the shared truncate function that was ${change}, locking each table`, async () => {
        const installed = await installation()
        await client.query(sql)
        expect((await install(database.url, AVIARY_RULES)).changed).to.eql(['bird', 'nest', 'ring'])
        expect(await installation()).to.eql(installed)
        expect(await logs('truncate ring')).to.equal(1)
      })
    }

    for (const [what, sql] of [
      [
        'that notifies',
        `create or replace function invalidation.notify() returns void language plpgsql
           security definer set search_path = pg_catalog, pg_temp as 'begin end'`,
      ],
      ['that every role may call', 'grant execute on function invalidation.flush(text) to public'],
      ['that is missing', 'drop function invalidation.flush(text)'],
    ] as const) {
      it(`a shared function ${what}`, async () => {
        const installed = await installation()
        await client.query(sql)
        expect((await install(database.url, AVIARY_RULES)).changed).to.eql([])
        expect(await installation()).to.eql(installed)
      })
    }

    it('a table that was dropped and created again', async () => {
      await client.query('create table made_again (like ring including all)')
      await client.query('drop table ring; alter table made_again rename to ring')
      expect((await install(database.url, AVIARY_RULES)).changed).to.eql(['ring'])
      expect(await logs(`insert into ring values (1, 'x')`)).to.equal(1)
    })
  })

  describe('two builds installed together', () => {
    const [bird, nest, ring] = AVIARY_RULES.tables as [WatchedTable, WatchedTable, WatchedTable]
    const older: RulesDefinition = { tables: [{ ...bird, watch: ['name', 'nest_id'] }, nest] }
    const newer: RulesDefinition = { tables: [{ ...bird, watch: ['nest_id', 'weight'] }, ring] }

    it('both get the events that they need, in either order of installation', async () => {
      await client.query(`insert into bird values (1, 'a'); insert into ring values (1, 'x')`)
      for (const [first, second] of [
        [older, newer],
        [newer, older],
      ] as const) {
        await install(database.url, first)
        await install(database.url, second)
        expect(await logs(`update bird set name = name || 'a'`)).to.equal(1)
        expect(await logs('update bird set weight = random()')).to.equal(1)
        expect(await logs('update nest set place = random()')).to.equal(1)
        expect(await logs('update ring set colour = random()')).to.equal(1)
        await uninstall(database.url, 0)
      }
    })

    it("leave each other's triggers alone when installed again", async () => {
      await install(database.url, older)
      await install(database.url, newer)
      const both = await installation()
      expect((await install(database.url, older)).changed).to.eql([])
      expect((await install(database.url, newer)).changed).to.eql([])
      expect(await installation()).to.eql(both)
    })

    it('keep triggers of tables that both watch in the same way', async () => {
      await install(database.url, older)
      const withRing = { tables: [...older.tables, ring] }
      expect((await install(database.url, withRing)).changed).to.eql(['ring'])
    })

    it('are reduced to one when the other is retired, after the grace period', async () => {
      await install(database.url, older)
      await install(database.url, newer)
      const retiring = retireOthers(database.url, newer, 300)
      const retired = async () =>
        (await client.query('select from invalidation.build where retired_at is not null')).rowCount
      await until(async () => (await retired()) === 1)
      expect(await logs('update nest set place = random()'), 'during the grace period').to.equal(1)
      const report = await retiring
      expect(report).to.include({ retired: 1, tables: 2 })
      expect(report.changed).to.have.members(['bird', 'nest'])
      expect(await logs('update nest set place = random()')).to.equal(0)
      expect(await retireOthers(database.url, newer, 0)).to.include({ retired: 0 })

      await install(database.url, older)
      expect(await retired(), 'installed again').to.equal(0)
      expect(await logs('update nest set place = random()')).to.equal(1)
    })

    it('cannot be retired by a build that is not installed', async () => {
      await install(database.url, older)
      const error = await retireOthers(database.url, newer, 0).catch((error: unknown) => error)
      expect(error).to.be.an.instanceof(ConfigurationError)
    })

    it('ignore a dropped table that only the other build watches', async () => {
      await install(database.url, older)
      await client.query('drop table nest cascade')
      expect((await install(database.url, newer)).tables).to.equal(2)
    })
  })

  it('gives changed rules a new version and never reuses a table id', async () => {
    await install(database.url, AVIARY_RULES)
    await client.query('create table egg (id int primary key)')
    const egg: WatchedTable = { name: 'egg', watch: ['id'], keys: ['id'] }
    const [bird, , ring] = AVIARY_RULES.tables as [WatchedTable, WatchedTable, WatchedTable]
    const report = await install(database.url, {
      tables: [egg, { ...bird, watch: ['name', 'nest_id'] }, ring],
    })
    expect(report.version).to.equal(2)
    const { rows } = await client.query<{ id: number; name: string }>(
      'select id, name from invalidation.watched_table order by id',
    )
    expect(rows.map(({ name }) => name)).to.eql(['bird', 'nest', 'ring', 'egg'])
  })

  it('supports a table with 63 columns, and a table without watched columns', async () => {
    const names = Array.from({ length: 63 }, (_, i) => `c${i}`)
    await client.query(`create table wide (id int primary key, ${names.map((n) => `${n} int`).join()});
      insert into wide values (1)`)
    await install(database.url, {
      tables: [
        { name: 'nest', watch: [], keys: ['id'] },
        { name: 'wide', watch: names, keys: ['id'] },
      ],
    })
    await client.query(
      `update wide set ${names.map((n) => `${n} = 1`).join()}; update wide set c62 = 2`,
    )
    await client.query(`update nest set place = 'x'; update nest set id = 9 where id = 1`)
    const { rows } = await client.query(
      'select op, changed from invalidation.event order by xid, at',
    )
    expect(rows).to.eql([
      { op: 'U', changed: String(2n ** 63n - 1n) },
      { op: 'U', changed: String(2n ** BigInt(names.toSorted().indexOf('c62'))) },
      { op: 'U', changed: '-1' },
    ])
  })

  it('neither blocks writers nor deadlocks with a transaction that is idle', async () => {
    const idle = await connect()
    await idle.query(`begin; insert into bird values (-1)`)
    const installing = install(database.url, AVIARY_RULES)

    const writers = await Promise.all([connect(), connect()])
    // Postgres cancels a write that waits for too long behind the installer.
    await Promise.all(writers.map((writer) => writer.query(`set lock_timeout = '250ms'`)))
    const writing = writers.map((writer, index) =>
      repeat((round) => writer.query('insert into bird values ($1)', [10 * round + index])),
    )
    for (let times = 0; times < 3; times++) {
      await until(async () => await isWaitedFor('bird'))
      await until(async () => !(await isWaitedFor('bird')))
    }
    await idle.query(`insert into nest values (50); insert into ring values (-1, 'x'); commit`)
    const report = await installing
    await Promise.all(writing.map((one) => one.stop()))
    expect(report.changed).to.eql(['bird', 'nest', 'ring'])
    await Promise.all([idle, ...writers].map((one) => one.end()))
  })

  it('times out and reports the session that holds the lock', async () => {
    const idle = await connect()
    await idle.query(`set application_name = 'a dashboard'; begin; insert into bird values (-1)`)
    await using installer = await openInstaller(database.url, { patienceMs: 0 })
    const sql = 'lock table bird in share row exclusive mode'
    const error: unknown = await installer.run(sql, 'bird').catch((error: unknown) => error)
    expect(error).to.be.an.instanceof(InstallTimeout)
    expect(String(error)).to.match(
      /bird is locked by pid \d+ \(.*a dashboard, idle in transaction, since 2/,
    )
    await idle.query('commit')
    await installer.run(sql, 'bird')
    await idle.end()
  })

  it('loses no event while it replaces triggers: the old or the new ones log each write', async () => {
    await install(database.url, AVIARY_RULES)
    const other = {
      tables: AVIARY_RULES.tables.map((table) => ({ ...table, watch: table.watch.slice(0, 2) })),
    }
    const writer = await connect()
    await using writing = repeat((round) =>
      writer.query(`insert into bird (id) values ($1)`, [round]),
    )
    for (const definition of [other, AVIARY_RULES, other, AVIARY_RULES]) {
      await install(database.url, definition)
      await retireOthers(database.url, definition, 0)
    }
    const written = await writing.stop()
    await writer.end()
    const { rows } = await client.query(
      `select count(distinct keys::text)::int as logged from invalidation.event`,
    )
    expect(rows).to.eql([{ logged: written }])
  })

  it('removes every object on uninstall, which can be repeated', async () => {
    const everything = async () =>
      (
        await client.query(
          `select 'class ' || relname as name from pg_class where oid >= 16384 and relnamespace <> 'pg_toast'::regnamespace
           union all select 'function ' || proname from pg_proc where oid >= 16384
           union all select 'schema ' || nspname from pg_namespace where nspname not like 'pg\\_%'
           union all select 'trigger ' || tgname || tgrelid::regclass from pg_trigger where not tgisinternal
           union all select 'type ' || typname from pg_type where oid >= 16384
           order by 1`,
        )
      ).rows
    const before = await everything()
    await install(database.url, AVIARY_RULES)
    await client.query('insert into bird values (1)')
    expect((await everything()).length).to.be.greaterThan(before.length)
    await uninstall(database.url, 0)
    expect(await everything()).to.eql(before)
    await uninstall(database.url, 0)
    await Promise.all([uninstall(database.url, 0), uninstall(database.url, 0)])
    expect(await everything()).to.eql(before)
    await client.query('insert into bird values (2)')
  })

  it('can be uninstalled and installed during writes', async () => {
    const writer = await connect()
    await using writing = repeat(async (round) => {
      await writer.query(`insert into bird (id) values ($1)`, [round])
      await writer.query(`update bird set name = 'x' where id = $1`, [round])
    })
    for (let round = 0; round < 3; round++) {
      await install(database.url, AVIARY_RULES)
      await uninstall(database.url, 0)
    }
    await writing.stop()
    await writer.end()
  })

  async function isWaitedFor(table: string): Promise<boolean> {
    const { rowCount } = await client.query(
      `select from pg_locks where relation = $1::regclass and not granted`,
      [table],
    )
    return rowCount !== 0
  }
})

describe('install rejects', () => {
  let database: TestDatabase
  let client: Client

  before(async () => {
    database = await createEmptyDatabase()
    client = new Client({ connectionString: database.url })
    await client.connect()
    await client.query(AVIARY)
    await client.query(OTHER_TABLES)
  })
  after(async () => {
    await client.end()
    await database[Symbol.asyncDispose]()
  })

  const OTHER_TABLES = `
      create table keyless (id int, name text);
      create table timed (id int primary key, at timestamptz, price numeric, kind "char");
      create table flock (id int primary key, year int) partition by range (id);
      create table flock_1 partition of flock for values from (0) to (9);
      create table parrot (extra int, primary key (id)) inherits (bird);
      create view sky as select * from bird;
      create extension citext;
      create schema other;
      create domain other.text as pg_catalog.text;
      create table coded (id int primary key, a citext, b char(3), c other.text);
      create table wide (id int primary key, ${Array.from({ length: 64 }, (_, i) => `c${i} int`).join()});
    `
  const cases: [string, WatchedTable, RegExp][] = [
    ['a missing table', { name: 'eagle', watch: ['id'], keys: ['id'] }, /no table eagle/],
    [
      'a missing column',
      { name: 'nest', watch: ['wings'], keys: ['id'] },
      /nest has no column wings/,
    ],
    [
      'a missing key column',
      { name: 'nest', watch: ['place'], keys: ['tag'] },
      /nest has no column tag/,
    ],
    [
      'a table without a primary key',
      { name: 'keyless', watch: ['name'], keys: ['id'] },
      /keyless has no primary key/,
    ],
    [
      'a key whose text depends on a setting',
      { name: 'timed', watch: ['id'], keys: ['at'] },
      /timed\.at cannot be a key: timestamptz/,
    ],
    [
      'a key whose value has several texts',
      { name: 'timed', watch: ['id'], keys: ['price'] },
      /timed\.price cannot be a key: numeric/,
    ],
    [
      'a key that ignores case',
      { name: 'coded', watch: ['id'], keys: ['a'] },
      /coded\.a cannot be a key: public\.citext/,
    ],
    [
      'a key that ignores trailing blanks',
      { name: 'coded', watch: ['id'], keys: ['b'] },
      /coded\.b cannot be a key: bpchar/,
    ],
    [
      'a key of a type with the name of a supported one in another schema',
      { name: 'coded', watch: ['id'], keys: ['c'] },
      /coded\.c cannot be a key: other\.text/,
    ],
    [
      'a partitioned table',
      { name: 'flock', watch: ['year'], keys: ['id'] },
      /flock .*not supported/,
    ],
    ['a partition', { name: 'flock_1', watch: ['year'], keys: ['id'] }, /flock_1 .*not supported/],
    [
      'a table that others inherit from',
      { name: 'bird', watch: ['name'], keys: ['id'] },
      /bird .*not supported/,
    ],
    [
      'a table that inherits',
      { name: 'parrot', watch: ['name'], keys: ['id'] },
      /parrot .*not supported/,
    ],
    ['a view', { name: 'sky', watch: ['name'], keys: ['id'] }, /sky .*not supported/],
    [
      'a key column that is not watched',
      { name: 'nest', watch: [], keys: ['place'] },
      /nest\.place leads to entries/,
    ],
    [
      'too many columns',
      { name: 'wide', watch: Array.from({ length: 64 }, (_, i) => `c${i}`), keys: ['id'] },
      /wide: more than 63/,
    ],
  ]
  for (const [what, table, message] of cases) {
    it(what, async () => {
      const error = await writeError({ tables: [table] })
      expect(error).to.be.an.instanceof(ConfigurationError)
      expect(String(error)).to.match(message)
      const { rows } = await client.query(`select from pg_trigger where tgname like 'zz\\_%'`)
      expect(rows, 'no table is touched').to.eql([])
    })
  }

  it('a virtual column, which triggers cannot see', async function () {
    const { rows } = await client.query<{ v: string }>('show server_version_num')
    if (Number(Object.values(rows[0] ?? {})[0]) < 180_000) this.skip()
    await client.query(
      'create table v (id int primary key, a int, b int generated always as (a + 1) virtual)',
    )
    expect(
      String(await writeError({ tables: [{ name: 'v', watch: ['b'], keys: ['id'] }] })),
    ).to.match(/v\.b .*virtual/)
  })

  const writeError = (definition: RulesDefinition) =>
    install(database.url, definition).then(
      () => undefined,
      (error: unknown) => error,
    )
})
