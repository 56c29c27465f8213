import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { Client } from 'pg'
import { install } from '../../db/event-log/index.ts'
import { compileRules } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import { type BuildApi, type Build, defineBuild } from '../support/build.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { newPrefix, type TestInvalidator } from '../support/invalidator.ts'
import { until } from '../support/until.ts'

const WORLD = new URL('warm/world.sql', import.meta.url)
// A bound so long that it cannot make answers correct in this test.
const BOUND_MS = 3_600_000
/** The intervals of the inspection (2 s) and of the watermark poll (0.25 s), and 2 s for a busy machine. */
const NOTICED_MS = 2_000 + 250 + 2_000

const TABLE = 'users_publicstaffprofile'
const PATH = 'users/staffprofiles/101/hero'
const VERBS = ['insert', 'update', 'delete', 'truncate']

interface SilentChange {
  readonly what: string
  /** SQL that prevents triggers from reporting changes; none if the change itself fires no trigger. */
  readonly damage?: string
  /** SQL that undoes the damage; by default `install` does. */
  readonly repair?: string
  /** SQL of the change; by default an update of the row. */
  readonly change?: (about: string) => string
}

const update = (about: string) => `update ${TABLE} set about = '${about}' where id = 101`

const CHANGES: readonly SilentChange[] = [
  { what: 'all triggers are disabled', damage: `alter table ${TABLE} disable trigger all` },
  {
    what: 'all triggers are disabled, and later enabled by hand',
    damage: `alter table ${TABLE} disable trigger all`,
    repair: [
      `alter table ${TABLE} enable trigger all`,
      ...VERBS.map((verb) => `alter table ${TABLE} enable always trigger zz_invalidation_${verb}`),
    ].join(';'),
  },
  {
    what: 'a trigger function is replaced by one that does nothing',
    damage: `do $$ declare name text; begin
      select tgfoid::regproc into name from pg_trigger
        where tgrelid = '${TABLE}'::regclass and tgname = 'zz_invalidation_update';
      execute format('create or replace function %s() returns trigger language plpgsql
        security definer set search_path = pg_catalog, pg_temp as ''begin return null; end''', name);
    end $$`,
  },
  {
    what: 'another table replaces the table under its name',
    damage: `begin;
      create table taking_over (like ${TABLE} including all);
      insert into taking_over select * from ${TABLE};
      drop table ${TABLE} cascade;
      alter table taking_over rename to ${TABLE};
      commit`,
  },
  {
    what: 'a column is dropped and added again',
    change: (about) => `alter table ${TABLE} drop about, add about text default '${about}'`,
  },
  {
    what: 'the table is rewritten',
    change: (about) => `alter table ${TABLE} alter about type text using '${about}'`,
  },
]

describe('a change that no trigger reports', function () {
  this.timeout(60_000)

  let database: TestDatabase
  let sql: Client
  let build: Build
  let api: BuildApi
  let invalidator: TestInvalidator | undefined
  let changes = 0

  before(async () => {
    database = await createTestDatabase({ installed: true })
    sql = new Client({ connectionString: database.url })
    sql.on('error', () => {})
    await sql.connect()
    await sql.query(await readFile(WORLD, 'utf8'))
    const { url: databaseUrl } = database
    build = defineBuild({ databaseUrl, prefix: newPrefix(), maxStalenessMs: BOUND_MS })
    api = await build.startApi()
    invalidator = await build.startInvalidator()
  })
  after(async () => {
    await stop()
    await api[Symbol.asyncDispose]()
    await sql.end()
    await database[Symbol.asyncDispose]()
  })

  async function stop(): Promise<void> {
    await invalidator?.[Symbol.asyncDispose]()
    invalidator = undefined
  }

  const next = () => `change ${++changes}`
  const shows = async (about: string) => (await api.get(PATH)).text.includes(`"${about}"`)
  const untilHit = (about: string) =>
    until(async () => {
      const { text, cache } = await api.get(PATH)
      return cache.startsWith('hit') && text.includes(`"${about}"`)
    })

  /** Expects a change to be invalidated and the new value to be cached. */
  async function expectInvalidation(): Promise<void> {
    const about = next()
    await sql.query(update(about))
    await untilHit(about)
  }

  /** Expects answers to show a change in time. */
  async function expectShownInTime(about: string): Promise<void> {
    const sinceMs = performance.now()
    await until(() => shows(about))
    expect(performance.now() - sinceMs).to.be.below(NOTICED_MS)
  }

  async function repairDamage({ damage, repair }: SilentChange): Promise<void> {
    if (repair !== undefined) await sql.query(repair)
    else if (damage !== undefined) await install(database.url, compileRules(catalog))
  }

  for (const silent of CHANGES) {
    const { what, damage = '', change = update } = silent

    describe(`when ${what}`, () => {
      beforeEach(async () => {
        invalidator ??= await build.startInvalidator()
        await expectInvalidation()
      })
      // After the repair, triggers report changes again.
      afterEach(() => expectInvalidation())

      it('is shown after the next inspection, and later changes at once', async () => {
        await sql.query(damage)
        let about = next()
        await sql.query(change(about))
        await expectShownInTime(about)
        if (damage !== '') {
          expect((await api.get(PATH)).cache).to.match(/detail=triggers$/)
          for (let time = 0; time < 3; time++) {
            about = next()
            await sql.query(change(about))
            expect(await shows(about)).to.be.true
          }
        }
        await repairDamage(silent)
        await untilHit(about)
      })

      it('is shown even if the damage was repaired before the next inspection', async () => {
        const about = next()
        await sql.query(damage)
        await sql.query(change(about))
        await repairDamage(silent)
        await expectShownInTime(about)
        await untilHit(about)
      })

      it('is shown even if no invalidator ran meanwhile', async () => {
        await stop()
        const about = next()
        await sql.query(damage)
        await sql.query(change(about))
        expect(await shows(about), 'the answer is stale').to.be.false
        await repairDamage(silent)
        invalidator = await build.startInvalidator()
        await expectShownInTime(about)
        await untilHit(about)
      })
    })
  }

  it('does not include changes under session_replication_role = replica', async () => {
    await expectInvalidation()
    const events = async () =>
      Number((await sql.query('select count(*) as n from invalidation.event')).rows[0].n)
    const before = await events()
    const about = next()
    await sql.query(`begin; set local session_replication_role = replica; ${update(about)}; commit`)
    expect(await events()).to.equal(before + 1)
    await untilHit(about)
  })
})
