import { expect } from 'chai'
import { AVIARY, AVIARY_RULES, type EventLog, openEventLog } from './event-log.ts'

describe('events of a statement', () => {
  let log: EventLog

  before(async () => {
    log = await openEventLog(AVIARY, AVIARY_RULES)
  })
  after(() => log[Symbol.asyncDispose]())
  beforeEach(() => log.client.query('truncate bird, ring'))

  const birds = (from: number, to: number) =>
    log.client.query(
      `insert into bird select id, 'b' || id, 1, '{}', 1 from generate_series(${from}, ${to}) id`,
    )

  describe('for one row', () => {
    it('list the keys of an inserted row', async () => {
      expect(await log.logged(`insert into bird values (1, 'wren', 9, '{}', 2)`)).to.eql([
        'bird I all [["1","2"]]',
      ])
    })

    it('list the keys of a deleted row', async () => {
      await birds(1, 2)
      expect(await log.logged('delete from bird where id = 2')).to.eql(['bird D all [["2","1"]]'])
    })

    it('list the watched columns that an update changed', async () => {
      await birds(1, 1)
      expect(await log.logged(`update bird set name = 'tit'`)).to.eql(['bird U name [["1","1"]]'])
      expect(
        await log.logged(`update bird set weight = 3, notes = '[]', last_seen = now()`),
      ).to.eql(['bird U notes,weight [["1","1"]]'])
      expect(await log.logged('update bird set name = null')).to.eql(['bird U name [["1","1"]]'])
    })

    it('are empty for an update that changes nothing or no watched column', async () => {
      await birds(1, 1)
      expect(await log.logged('update bird set name = name, weight = weight')).to.eql([])
      expect(await log.logged('update bird set last_seen = now()')).to.eql([])
      expect(await log.logged('update bird set name = null where false')).to.eql([])
    })

    it('are empty for a statement without affected rows', async () => {
      expect(await log.logged('delete from bird')).to.eql([])
      expect(await log.logged('insert into bird select 1 where false')).to.eql([])
    })

    it('include a column whose binary image changed although its value is equal', async () => {
      await log.client.query(`insert into bird values (1, 'wren', 1.0, '{"w": 1.0}', 1)`)
      expect(await log.logged('update bird set weight = 1.00')).to.eql([
        'bird U weight [["1","1"]]',
      ])
      expect(await log.logged(`update bird set notes = '{"w": 1.00}'`)).to.eql([
        'bird U notes [["1","1"]]',
      ])
    })

    it('list old and new key values when a row moves to another parent', async () => {
      await birds(1, 1)
      expect(await log.logged('update bird set nest_id = 2')).to.eql([
        'bird U nest_id [["1","1"],["1","2"]]',
      ])
      expect(await log.logged('update bird set nest_id = null')).to.eql([
        'bird U nest_id [["1","2"],["1",null]]',
      ])
    })

    it('treat a changed primary key as a deleted and an inserted row', async () => {
      await birds(1, 1)
      expect(await log.logged('update bird set id = 4')).to.eql([
        'bird U all [["1","1"],["4","1"]]',
      ])
    })

    it('keep every digit of a bigint', async () => {
      expect(await log.logged('insert into bird values (9007199254740993)')).to.eql([
        'bird I all [["9007199254740993",null]]',
      ])
    })

    it('include changes made by another trigger of the table', async () => {
      await birds(1, 1)
      await log.client.query(`
        create function fatten() returns trigger language plpgsql as
          'begin new.weight := new.weight + 1; return new; end';
        create trigger fatten before update on bird for each row execute function fatten()`)
      try {
        expect(await log.logged('update bird set last_seen = now()')).to.eql([
          'bird U weight [["1","1"]]',
        ])
      } finally {
        await log.client.query('drop function fatten() cascade')
      }
    })
  })

  describe('for many rows', () => {
    it('are one event up to 500 rows', async () => {
      await log.logged('select 1')
      await birds(1, 500)
      const [entry, ...others] = await log.entries()
      expect(others).to.eql([])
      expect(entry).to.include({ table: 'bird', op: 'I', changed: 'all' })
      expect(entry?.keys).to.have.lengthOf(500)
    })

    for (const [verb, sql, changed] of [
      ['insert', `insert into bird select id from generate_series(10001, 11200) id`, 'all'],
      ['update', `update bird set weight = 5`, 'weight'],
      ['delete', `delete from bird`, 'all'],
    ] as const) {
      it(`have at most 500 rows each: ${verb}`, async () => {
        if (verb !== 'insert') await birds(1, 1200)
        await log.entries()
        await log.client.query(sql)
        const entries = await log.entries()
        expect(entries.map(({ op }) => op)).to.eql(Array(3).fill(verb[0]?.toUpperCase()))
        expect(entries.map((entry) => entry.changed)).to.eql(Array(3).fill(changed))
        expect(entries.map(({ keys }) => keys?.length)).to.have.members([200, 500, 500])
        const ids = entries.flatMap(({ keys }) => keys?.map(([id]) => id) ?? [])
        expect(new Set(ids)).to.have.lengthOf(1200)
      })

      it(`list rows up to 10,000 and are one bulk event above: ${verb}`, async () => {
        for (const [rows, events] of [
          [10_000, 20],
          [10_001, 1],
        ] as const) {
          await log.client.query('truncate bird, ring')
          if (verb !== 'insert') await birds(1, rows)
          await log.entries()
          await log.client.query(sql.replace('10001, 11200', `1, ${rows}`))
          const entries = await log.entries()
          expect(entries).to.have.lengthOf(events)
          if (events > 1) continue
          expect(entries[0]).to.eql({ table: 'bird', op: 'B', changed: 'all', keys: null })
        }
      })
    }

    it('list only changed rows, and each distinct key once', async () => {
      await birds(1, 5)
      expect(
        await log.logged(`update bird set weight = case when id < 3 then 2 else weight end`),
      ).to.eql(['bird U weight [["1","1"],["2","1"]]'])
      await log.client.query(`insert into ring values (1, 'a'), (1, 'b'), (2, 'c')`)
      expect(await log.logged(`update ring set colour = 'red'`)).to.eql([
        // prose-ok: `ring` is a table
        'ring U colour [["1"],["2"]]',
      ])
    })

    it('combine the columns that changed in any row', async () => {
      await birds(1, 3)
      expect(
        await log.logged(`update bird set
          name = case id when 1 then 'x' else name end,
          nest_id = case id when 2 then 3 else nest_id end,
          last_seen = now()`),
      ).to.eql(['bird U name,nest_id [["1","1"],["2","1"],["2","3"]]'])
    })

    it('are empty when no row changed', async () => {
      await birds(1, 3)
      expect(await log.logged('update bird set name = name, last_seen = now()')).to.eql([])
    })

    it('pair rows by primary key when keys are shifted', async () => {
      await birds(1, 3)
      expect(await log.logged('update bird set id = id + 10')).to.eql([
        'bird U all [["1","1"],["11","1"],["12","1"],["13","1"],["2","1"],["3","1"]]',
      ])
    })

    it('are one bulk event with invalidation.mode = coarse, except for a single row', async () => {
      const client = await log.connect()
      await client.query(`set invalidation.mode = 'coarse'`)
      expect(
        await log.logged('insert into bird select id from generate_series(1, 3) id', client),
      ).to.eql(['bird B all'])
      expect(await log.logged('update bird set weight = 2', client)).to.eql(['bird B all'])
      expect(await log.logged('update bird set weight = 3 where id = 1', client)).to.eql([
        'bird U weight [["1",null]]',
      ])
      await client.query(`set invalidation.mode = 'silent'`)
      expect(await log.logged('delete from bird', client)).to.eql([
        'bird D all [["1",null],["2",null],["3",null]]',
      ])
      await client.end()
    })
  })

  describe('of other statements', () => {
    const UPSERT = `insert into bird values (1, 'wren'), (2, 'owl')
      on conflict (id) do update set name = excluded.name`

    it('upsert logs inserted and updated rows separately', async () => {
      expect(await log.logged(UPSERT)).to.eql(['bird I all [["1",null],["2",null]]'])
      expect(await log.logged(UPSERT)).to.eql([])
      await log.client.query(
        `update bird set name = 'tit' where id = 2; delete from bird where id = 1`,
      )
      expect((await log.logged(UPSERT)).toSorted()).to.eql([
        'bird I all [["1",null]]',
        'bird U name [["2",null]]',
      ])
    })

    it('upsert with DO NOTHING logs nothing', async () => {
      await birds(1, 1)
      expect(await log.logged(`insert into bird values (1, 'x') on conflict do nothing`)).to.eql([])
    })

    it('MERGE logs each of its actions', async () => {
      await birds(1, 3)
      expect(
        (
          await log.logged(`merge into bird b using (values (1), (2), (3), (4)) s (id) on b.id = s.id
            when matched and s.id = 1 then delete
            when matched and s.id = 2 then update set name = 'merged'
            when matched then do nothing
            when not matched then insert values (s.id, 'new')`)
        ).toSorted(),
      ).to.eql(['bird D all [["1","1"]]', 'bird I all [["4",null]]', 'bird U name [["2","1"]]'])
    })

    it('COPY logs an insert', async () => {
      expect(
        await log.logged(
          `copy bird (id, nest_id) from program 'printf "1\\t2\\n2\\t\\\\\\\\N\\n"'`,
        ),
      ).to.eql(['bird I all [["1","2"],["2",null]]'])
    })

    it('a data-modifying CTE logs each table that it writes', async () => {
      await birds(1, 2)
      expect(
        (
          await log.logged(`with gone as (delete from bird where id = 1 returning nest_id)
            update nest set place = 'elm' where id in (select nest_id from gone)`)
        ).toSorted(),
      ).to.eql(['bird D all [["1","1"]]', 'nest U place [["1"]]'])
    })

    it('a cascade logs every table that it changes', async () => {
      await birds(1, 2)
      await log.client.query(`insert into ring values (1, 'a'), (2, 'b')`)
      expect((await log.logged('update bird set id = 7 where id = 1')).toSorted()).to.eql([
        'bird U all [["1","1"],["7","1"]]',
        // prose-ok: `ring` is a table
        'ring U all [["1"],["7"]]',
      ])
      expect((await log.logged('delete from nest where id = 1')).toSorted()).to.eql([
        'bird D all [["2","1"],["7","1"]]',
        'nest D all [["1"]]',
        // prose-ok: `ring` is a table
        'ring D all [["2"],["7"]]',
      ])
      await log.client.query(`insert into nest values (1, 'oak')`)
    })

    it('TRUNCATE logs every table that it empties', async () => {
      expect((await log.logged('truncate bird cascade')).toSorted()).to.eql([
        'bird T all',
        // prose-ok: `ring` is a table
        'ring T all',
      ])
    })

    it('a savepoint rollback removes only its own events', async () => {
      await birds(1, 3)
      expect(
        await log.logged(`begin;
          update bird set name = 'kept' where id = 1;
          savepoint s;
          update bird set name = 'lost' where id = 2;
          rollback to s;
          update bird set name = 'kept' where id = 3;
          commit`),
      ).to.eql(['bird U name [["1","1"]]', 'bird U name [["3","1"]]'])
    })

    it('a transaction rollback removes all its events', async () => {
      expect(await log.logged('begin; insert into bird values (1); rollback')).to.eql([])
    })

    it('an event has the top-level transaction id, even within a savepoint', async () => {
      await log.entries()
      await log.client.query('begin; savepoint s; insert into bird values (1); release s')
      const { rows } = await log.client.query<{ same: boolean }>(
        'select bool_and(xid = pg_current_xact_id()) as same from invalidation.event',
      )
      await log.client.query('commit')
      expect(rows).to.eql([{ same: true }])
    })

    it('invalidation.flush() logs an event', async () => {
      expect(await log.logged(`select invalidation.flush('project:*')`)).to.eql([
        '- F all ["project:*"]',
      ])
      expect(await log.logged(`begin; select invalidation.flush('x'); rollback`)).to.eql([])
    })
  })
})
