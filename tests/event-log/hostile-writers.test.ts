import { expect } from 'chai'
import type { Client } from 'pg'
import { AVIARY, AVIARY_RULES, type EventLog, openEventLog } from './event-log.ts'

describe('writers that do not cooperate with the event log', () => {
  let log: EventLog

  before(async () => {
    log = await openEventLog(AVIARY, AVIARY_RULES)
  })
  after(() => log[Symbol.asyncDispose]())
  beforeEach(() => log.client.query('truncate bird, ring'))

  async function as(role: string, sql: string, work: (client: Client) => Promise<void>) {
    const name = `${role}_${process.pid}`
    await log.client.query(`create role ${name}; ${sql.replaceAll('$role', name)}`)
    const client = await log.connect(name)
    try {
      await work(client)
    } finally {
      await client.end()
      await log.client.query(`drop owned by ${name}; drop role ${name}`)
    }
  }

  it('a role without any right on the schema can write, and its writes are logged', async () => {
    await as('keeper', 'grant all on bird, nest to $role', async (client) => {
      expect(await log.logged(`insert into bird values (1), (2)`, client)).to.eql([
        'bird I all [["1",null],["2",null]]',
      ])
      expect(await log.logged(`update bird set name = 'x' where id = 1`, client)).to.eql([
        'bird U name [["1",null]]',
      ])
      expect(await log.logged(`delete from bird`, client)).to.eql([
        'bird D all [["1",null],["2",null]]',
      ])
      expect(await log.logged(`truncate bird cascade`).catch(String)).to.be.an('array')
      for (const sql of [
        'select * from invalidation.event',
        'insert into invalidation.event_0 select * from invalidation.event_1',
        `select invalidation.flush('x')`,
        'select invalidation.notify()',
      ]) {
        const error = await client.query(sql).catch((error: unknown) => error)
        expect(String(error), sql).to.include('permission denied')
      }
    })
  })

  it('session_replication_role = replica does not suppress logging', async () => {
    const client = await log.connect()
    await client.query('set session_replication_role = replica')
    expect(await log.logged('insert into bird values (1, $$a$$)', client)).to.have.lengthOf(1)
    expect(await log.logged(`update bird set name = 'b'`, client)).to.have.lengthOf(1)
    expect(await log.logged('delete from bird', client)).to.have.lengthOf(1)
    expect(await log.logged('truncate bird cascade', client)).to.have.lengthOf(2)
    await client.end()
  })

  it('session settings for the format of values do not change the logged keys', async () => {
    const client = await log.connect()
    await client.query(`
      set DateStyle = 'German'; set TimeZone = 'Asia/Kathmandu'; set bytea_output = 'escape';
      set extra_float_digits = -15; set IntervalStyle = 'sql_standard'; set lc_numeric = 'C';
      set quote_all_identifiers = on; set standard_conforming_strings = off;
      set enable_hashjoin = off; set enable_mergejoin = off; set row_security = off;
      set default_transaction_isolation = 'serializable'; set plan_cache_mode = force_generic_plan`)
    expect(await log.logged('insert into bird values (1234567, $$a$$), (2, $$b$$)', client)).to.eql(
      ['bird I all [["1234567",null],["2",null]]'],
    )
    expect(await log.logged('update bird set nest_id = 1', client)).to.eql([
      'bird U nest_id [["1234567","1"],["1234567",null],["2","1"],["2",null]]',
    ])
    await client.end()
  })

  it('objects of the same name earlier in the search path are not used by the triggers', async () => {
    const client = await log.connect()
    await client.query(`
      create schema decoy;
      create table decoy.event (segment int); create table decoy.bird (like bird);
      create temp table old_rows (id bigint); create temp table new_rows (id bigint);
      create function decoy.clock_timestamp() returns timestamptz language sql as 'select null::timestamptz';
      create function decoy.json_build_array(variadic "any") returns json language internal as 'json_build_array';
      create function decoy.same(bigint, bigint) returns boolean language sql as 'select true';
      create operator decoy.= (leftarg = bigint, rightarg = bigint, function = decoy.same);
      set search_path = decoy, pg_temp, pg_catalog, public`)
    try {
      expect(await log.logged('insert into public.bird values (1), (2)', client)).to.have.lengthOf(
        1,
      )
      expect(
        await log.logged(
          `update public.bird set name = 'x' where id operator(pg_catalog.=) 2`,
          client,
        ),
      ).to.eql(['bird U name [["2",null]]'])
      expect(await log.logged(`update public.bird set weight = 2`, client)).to.eql([
        'bird U weight [["1",null],["2",null]]',
      ])
      expect(await log.logged('insert into decoy.bird values (9)', client)).to.eql([])
    } finally {
      await client.end()
      await log.client.query('drop schema decoy cascade')
    }
  })

  it('columns named like variables of the trigger functions are logged correctly', async () => {
    const columns = ['op', 'keys', 'chunks', 'moment', 'mask', 'was', 'became', 'r', 'o', 'n', 'd']
    await log.client.query(
      `create table odd (id int primary key, "Select ""x""" text, ${columns.map((name) => `${name} text`).join(', ')})`,
    )
    await log.install({
      tables: [
        ...AVIARY_RULES.tables,
        {
          name: 'odd',
          watch: [...columns, 'Select "x"'],
          keys: ['Select "x"', 'id', 'keys', 'op'],
        },
      ],
    })
    expect(await log.logged(`insert into odd (id, op) values (1, 'a')`)).to.eql([
      'odd I all [[null,"1",null,"a"]]',
    ])
    expect(await log.logged(`update odd set mask = 'm', was = 'w'`)).to.eql([
      'odd U mask,was [[null,"1",null,"a"]]',
    ])
    await log.client.query(`insert into odd (id) values (2)`)
    expect(await log.logged(`update odd set keys = 'k', "Select ""x""" = 'q'`)).to.eql([
      'odd U Select "x",keys [["q","1","k","a"],["q","2","k",null],[null,"1",null,"a"],[null,"2",null,null]]',
    ])
    await log.client.query('drop table odd')
    await log.install()
  })

  describe('after a column was renamed or dropped', () => {
    const WRITES = [
      'insert into bird (id) values (1), (2)',
      'insert into bird (id) values (3)',
      `update bird set weight = 7`,
      `update bird set weight = 8 where id = 1`,
      `delete from bird where id = 1`,
      `delete from bird`,
    ]

    for (const [what, away, back] of [
      ['watched, renamed', 'rename name to title', 'rename title to name'],
      ['watched, dropped', 'drop column name', 'add column name text'],
      ['a key, renamed', 'rename nest_id to home', 'rename home to nest_id'],
      [
        'a key, dropped',
        'drop column nest_id',
        'add column nest_id bigint references nest on delete cascade',
      ],
    ] as const) {
      it(`lets writes through, and logs exact events again once it is back: ${what}`, async () => {
        const exact: string[][] = []
        for (const sql of WRITES) exact.push(await log.logged(sql))
        expect(exact.flat().join()).not.to.include(' X ')

        await log.client.query(`alter table bird ${away}`)
        const faults: string[][] = []
        for (const sql of WRITES) faults.push(await log.logged(sql))
        for (const [index, events] of faults.entries()) {
          // Inserts and deletes do not need a column that is only watched.
          expect(events.join(), WRITES[index]).to.be.oneOf([exact[index]?.join(), 'bird X all'])
        }
        expect(faults[2], 'many rows').to.eql(['bird X all'])
        expect(faults[3], 'one row').to.eql(['bird X all'])

        await log.client.query(`alter table bird ${back}`)
        for (const [index, sql] of WRITES.entries()) {
          expect(await log.logged(sql), sql).to.eql(exact[index])
        }
        const other = await log.connect()
        for (const [index, sql] of WRITES.entries()) {
          expect(await log.logged(sql, other), sql).to.eql(exact[index])
        }
        await other.end()
      })
    }
  })

  it("a column's type change also takes effect in sessions that used the old type", async () => {
    await log.client.query('create table egg (id int primary key, bird_id int, size int)')
    await log.install({
      tables: [
        ...AVIARY_RULES.tables,
        { name: 'egg', watch: ['bird_id', 'size'], keys: ['bird_id'] },
      ],
    })
    const write = async () => [
      await log.logged('insert into egg values (1, 5, 1)'),
      await log.logged('update egg set bird_id = 6'),
      await log.logged('insert into egg values (2, 5, 1), (3, 5, 1)'),
      await log.logged('update egg set size = 2'),
      await log.logged('delete from egg where id = 1'),
      await log.logged('delete from egg'),
    ]
    const before = await write()
    await log.client.query('alter table egg alter id type bigint, alter bird_id type bigint')
    expect(await write()).to.eql(before)
    await log.client.query('drop table egg')
    await log.install()
  })

  it('a serializable writer gets no serialization failure from the triggers', async () => {
    await log.logged('insert into bird select id from generate_series(1, 8) id')
    const writers = await Promise.all(Array.from({ length: 4 }, () => log.connect()))
    await Promise.all(
      writers.map(async (client, index) => {
        await client.query('set default_transaction_isolation = serializable')
        for (let round = 0; round < 10; round++) {
          await client.query(`update bird set weight = ${round} where id = ${index + 1}`)
        }
      }),
    )
    expect(await log.entries()).to.have.lengthOf(40)
    await Promise.all(writers.map((client) => client.end()))
  })

  it('a statement cancelled within a trigger fails like any other', async () => {
    const client = await log.connect()
    await log.entries()
    await client.query(`set statement_timeout = '1ms'`)
    const error = await client
      .query('insert into bird select id from generate_series(1, 200000) id')
      .catch((error: unknown) => error)
    expect(String(error)).to.include('statement timeout')
    expect(await log.entries()).to.eql([])
    await client.end()
  })

  it('log the same with a search_path of their own operators, functions and types', async () => {
    // These statements name the operators of Postgres themselves.
    const is = (n: number) => `id operator(pg_catalog.=) ${n}`
    const statements = [
      `insert into bird values (1, 'wren', 9, '{}', 2)`,
      `update bird set name = 'tit' where ${is(1)}`,
      `update bird set nest_id = 3, weight = 9.0 where ${is(1)}`,
      `insert into bird values (2, 'b', 1, '{}', 1), (3, 'b', 1, '{}', 1), (4, 'b', 1, '{}', 1)`,
      `update bird set name = 'c', nest_id = 2`,
      `update bird set id = id operator(pg_catalog.+) 100`,
      `delete from bird where ${is(103)}`,
      `delete from bird`,
    ]
    const run = async (searchPath: string) => {
      const writer = await log.connect()
      await writer.query(`set search_path = ${searchPath}`)
      const found: string[][] = []
      for (const sql of statements) found.push(await log.logged(sql, writer))
      await writer.end()
      return found
    }
    const expected = await run('pg_catalog, public')
    for (const events of expected) expect(events).to.have.lengthOf(1)

    await log.client.query(HOSTILE_SCHEMA)
    const writer = await log.connect()
    await writer.query('set search_path = hostile, pg_catalog, public')
    for (const sql of ['select 1 = 1', `select int8eq(1, 1)`, `select 'a'::text`]) {
      const error = await writer.query(sql).catch((error: unknown) => error)
      expect(String(error), sql).to.include('hostile')
    }
    await writer.end()
    expect(await run('hostile, pg_catalog, public')).to.eql(expected)
    await log.client.query('drop schema hostile cascade')
  })

  it('run trigger functions that qualify every function', async () => {
    // Includes aggregates, which the hostile schema cannot contain.
    const { rows } = await log.client.query<{ body: string }>(
      `select prosrc as body from pg_proc where pronamespace = 'invalidation'::regnamespace and proname ~ '^log_.*_\\d+$'`,
    )
    expect(rows).to.have.lengthOf.at.least(3 * AVIARY_RULES.tables.length)
    const called = rows.flatMap(({ body }) => body.match(/(?<![.\w])\w+(?=\()/g) ?? [])
    expect([...new Set(called)]).to.have.members(['row', 'bit', 'operator'])
  })
})

/** A schema with operators, functions and types that fail, and have the names of those of Postgres. */
const HOSTILE_SCHEMA = `
  create schema hostile;
  do $do$
  declare
    found record;
    body text := $$begin raise exception 'hostile'; end$$;
  begin
    for found in
      select p.proname as name, pg_get_function_identity_arguments(p.oid) as arguments
      from pg_proc p
      where p.pronamespace = 'pg_catalog'::regnamespace and p.proargmodes is null and p.prokind = 'f'
        and exists (select from pg_proc ours where ours.pronamespace = 'invalidation'::regnamespace
                    and position('.' || p.proname || '(' in ours.prosrc) > 0)
        and not exists (select from unnest(p.proargtypes) t
                        where t::regtype::text in ('internal', 'cstring', '"any"', 'record') or t::regtype::text like 'any%')
      union all
      select * from (values ('concat', 'bool'), ('concat', 'bool, bool'), ('concat', 'bool, bool, bool, bool'),
        ('json_build_array', 'text'), ('json_build_array', 'text, text'),
        ('json_build_array', 'json'), ('json_build_array', 'json, json')) own
    loop
      execute format('create function hostile.%I(%s) returns int language plpgsql as %L',
                     found.name, found.arguments, body);
    end loop;
    for found in
      select o.oprname as name, o.oprleft::regtype as l, o.oprright::regtype as r, row_number() over () as n
      from pg_operator o
      where o.oprnamespace = 'pg_catalog'::regnamespace and o.oprkind = 'b'
        and o.oprname in ('=', '<>', '+', '-', '/', '%', '|', '||')
        and not exists (select from pg_type y where y.oid in (o.oprleft, o.oprright) and y.typtype = 'p')
    loop
      execute format('create function hostile.operator_%s(%s, %s) returns bool language plpgsql as %L',
                     found.n, found.l, found.r, body);
      execute format('create operator hostile.%s (leftarg = %s, rightarg = %s, function = hostile.operator_%s)',
                     found.name, found.l, found.r, found.n);
    end loop;
    for found in select unnest(array['text', 'json', 'char', 'int8', 'bool', 'timestamptz']) as name
    loop
      execute format('create domain hostile.%I as pg_catalog.%I constraint hostile check (false)',
                     found.name, found.name);
    end loop;
  end $do$`
