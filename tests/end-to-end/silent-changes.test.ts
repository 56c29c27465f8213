import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { Client } from 'pg'
import { install } from '../../db/event-log/install.ts'
import { compileRules } from '../../shared/cache/compile.ts'
import { catalog } from '../../shared/resources/index.ts'
import { type BuildApi, type Build, defineBuild } from '../support/build.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { newPrefix, type TestInvalidator } from '../support/invalidator.ts'
import { until } from '../support/until.ts'

const WORLD = new URL('warm/world.sql', import.meta.url)
// So long that it cannot be what keeps answers right here.
const BOUND_MS = 3_600_000
/** A scan every two seconds, a poll every quarter of one, and a machine that has other things to do. */
const NOTICED_MS = 2_000 + 250 + 2_000

const TABLE = 'users_publicstaffprofile'
const PATH = 'users/staffprofiles/101/hero'
const VERBS = ['insert', 'update', 'delete', 'truncate']

interface SilentChange {
  readonly what: string
  /** Makes changes of the table silent; nothing where the change is so by itself. */
  readonly damage?: string
  /** Undoes the damage by hand; `install` does where it is not given. */
  readonly repair?: string
  /** The change; by default an update of the row. */
  readonly change?: (about: string) => string
}

const update = (about: string) => `update ${TABLE} set about = '${about}' where id = 101`

const CHANGES: readonly SilentChange[] = [
  { what: 'all triggers are disabled', damage: `alter table ${TABLE} disable trigger all` },
  {
    what: 'all triggers are disabled, and enabled again by hand',
    damage: `alter table ${TABLE} disable trigger all`,
    repair: [
      `alter table ${TABLE} enable trigger all`,
      ...VERBS.map((verb) => `alter table ${TABLE} enable always trigger zz_invalidation_${verb}`),
    ].join(';'),
  },
  {
    what: 'a function does nothing any more',
    damage: `do $$ declare name text; begin
      select tgfoid::regproc into name from pg_trigger
        where tgrelid = '${TABLE}'::regclass and tgname = 'zz_invalidation_update';
      execute format('create or replace function %s() returns trigger language plpgsql
        security definer set search_path = pg_catalog, pg_temp as ''begin return null; end''', name);
    end $$`,
  },
  {
    what: 'another table has taken its name',
    damage: `begin;
      create table taking_over (like ${TABLE} including all);
      insert into taking_over select * from ${TABLE};
      drop table ${TABLE} cascade;
      alter table taking_over rename to ${TABLE};
      commit`,
  },
  {
    what: 'a column is dropped and made anew',
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

  /** It is in the cache and right. */
  async function beforehand(): Promise<void> {
    const about = next()
    await sql.query(update(about))
    await untilHit(about)
  }

  /** Waits until the change is shown, which has to be soon, and then for good. */
  async function isNoticed(about: string): Promise<void> {
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

    describe(`because ${what}`, () => {
      beforeEach(async () => {
        invalidator ??= await build.startInvalidator()
        await beforehand()
      })
      afterEach(async () => {
        // Whatever it was: from now on everything is reported, and found again.
        await beforehand()
      })

      it('is shown as soon as the invalidator has looked, and what follows at once', async () => {
        await sql.query(damage)
        let about = next()
        await sql.query(change(about))
        await isNoticed(about)
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

      it('is shown also when all was in order again before anybody looked', async () => {
        const about = next()
        await sql.query(damage)
        await sql.query(change(about))
        await repairDamage(silent)
        await isNoticed(about)
        await untilHit(about)
      })

      it('is shown also when nobody was there to look', async () => {
        await stop()
        const about = next()
        await sql.query(damage)
        await sql.query(change(about))
        expect(await shows(about), 'or there was nothing to notice').to.be.false
        await repairDamage(silent)
        invalidator = await build.startInvalidator()
        await isNoticed(about)
        await untilHit(about)
      })
    })
  }

  it('is none because it is made as replication makes it', async () => {
    await beforehand()
    const events = async () =>
      Number((await sql.query('select count(*) as n from invalidation.event')).rows[0].n)
    const before = await events()
    const about = next()
    await sql.query(`begin; set local session_replication_role = replica; ${update(about)}; commit`)
    expect(await events()).to.equal(before + 1)
    await untilHit(about)
  })
})
