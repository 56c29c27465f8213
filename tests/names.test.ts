import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import type { Kysely } from 'kysely'
import { Client } from 'pg'
import { openDatabase } from '../db/database.ts'
import { findMoment, install } from '../db/event-log/index.ts'
import { findLogInCandidate } from '../db/queries/log-in.ts'
import type { Database } from '../db/schema.ts'
import { transact } from '../db/writes/transact.ts'
import { checkDefaults } from '../scripts/doctor/defaults.ts'
import { checkNames } from '../scripts/doctor/names.ts'
import { compileRules, createLoader } from '../shared/cache/index.ts'
import { catalog } from '../shared/resources/index.ts'
import { createTestDatabase, type TestDatabase } from './support/database.ts'
import { until } from './support/until.ts'

describe('a table name', function () {
  this.timeout(60_000)
  const role = `spms_names_${randomBytes(4).toString('hex')}`
  let database: TestDatabase
  let superuser: Client

  before(async () => {
    database = await createTestDatabase({ installed: true })
    superuser = new Client({ connectionString: database.url })
    superuser.on('error', () => {})
    await superuser.connect()
    // Postgres searches this schema first for the role. Its objects have names that queries use.
    await superuser.query(`
      insert into agencies_affiliation (name) values ('public');
      create role ${role} login password 'x';
      grant select, insert, update, delete on all tables in schema public to ${role};
      grant usage on schema public, invalidation to ${role};
      grant usage on all sequences in schema public to ${role};
      grant select on invalidation.current_incarnation to ${role};
      create schema ${role} authorization ${role};
      create table ${role}.agencies_affiliation (like public.agencies_affiliation including all);
      create table ${role}.users_user (like public.users_user including all);
      insert into ${role}.agencies_affiliation (id, name) values (1, 'decoy');
      create function ${role}.pg_current_snapshot() returns pg_snapshot
        language sql as $$ select '1:1:'::pg_snapshot $$;
      grant select, insert on all tables in schema ${role} to ${role}`)
  })
  after(async () => {
    await superuser.query(`drop owned by ${role} cascade; drop role ${role}`)
    await superuser.end()
    await database[Symbol.asyncDispose]()
  })

  async function withPool(work: (db: Kysely<Database>) => Promise<void>): Promise<void> {
    const url = new URL(database.url)
    url.username = role
    url.password = 'x'
    const db = openDatabase({ url: url.href, poolSize: 1, applicationName: 'spms-test-names' })
    try {
      await work(db)
    } finally {
      await db.destroy()
    }
  }

  const loaded = async (db: Kysely<Database>) => {
    const { query } = createLoader(db, { concurrency: 1, queue: 1 })
    const rows = await query((trx) =>
      trx.selectFrom('agencies_affiliation').select('name').execute(),
    )
    return rows.map(({ name }) => name)
  }

  it('resolves to the public table in a load if a schema has the name of the role', () =>
    withPool(async (db) => {
      expect(await loaded(db)).to.eql(['public'])
    }))

  it('resolves to the public table after search_path was changed for the role or the database', () =>
    withPool(async (db) => {
      expect(await loaded(db)).to.eql(['public'])
      const name = new URL(database.url).pathname.slice(1)
      for (const [subject, reset] of [
        [`role ${role}`, `role ${role}`],
        [`database ${name}`, `database ${name}`],
      ] as const) {
        await superuser.query(`alter ${subject} set search_path = ${role}, public, pg_catalog`)
        const ended = await superuser.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where usename = $1`,
          [role],
        )
        expect(ended.rowCount).to.equal(1)
        // The pool may detect the lost connection only with the next query.
        await until(() =>
          loaded(db).then(
            ([first]) => first === 'public',
            () => false,
          ),
        )
        const { snapshot } = await findMoment(db)
        expect(snapshot.xmax > 1n).to.be.true
        const found = await db.transaction().execute((trx) => findLogInCandidate(trx, 'unknown'))
        expect(found).to.equal(undefined)
        await superuser.query(`alter ${reset} reset search_path`)
      }
    }))

  it('does not resolve to a temporary table of the session', () =>
    withPool(async (db) => {
      await db.transaction().execute(async (trx) => {
        await trx.schema
          .createTable('agencies_affiliation')
          .temporary()
          .addColumn('name', 'text')
          .execute()
      })
      expect(await loaded(db)).to.eql(['public'])
    }))

  it('resolves to the public table in a write, also if transactions are read-only by default', () =>
    withPool(async (db) => {
      await superuser.query(`alter role ${role} set default_transaction_read_only = on`)
      await transact(db, (trx) =>
        trx
          .insertInto('agencies_affiliation')
          .values({ name: 'written' } as never)
          .execute(),
      )
      await superuser.query(`alter role ${role} reset all`)
      const { rows } = await superuser.query(
        `select count(*)::integer as written from public.agencies_affiliation where name = 'written'`,
      )
      expect(rows).to.eql([{ written: 1 }])
      await superuser.query(`delete from public.agencies_affiliation where name = 'written'`)
    }))

  it('is loaded with the same text under any DateStyle, TimeZone or extra_float_digits', () =>
    withPool(async (db) => {
      await superuser.query(`alter role ${role} set datestyle = 'German';
        alter role ${role} set timezone = 'Asia/Tokyo';
        alter role ${role} set extra_float_digits = -10`)
      const { query } = createLoader(db, { concurrency: 1, queue: 1 })
      const rows = await query((trx) =>
        trx
          .selectNoFrom((eb) => [
            eb
              .cast<string>(eb.cast(eb.val('2024-03-01 12:00:00+00'), 'timestamptz'), 'text')
              .as('time'),
            eb.cast<string>(eb.cast(eb.val('0.1234567890123456'), 'float8'), 'text').as('number'),
          ])
          .execute(),
      )
      await superuser.query(`alter role ${role} reset all`)
      expect(rows).to.eql([{ time: '2024-03-01 12:00:00+00', number: '0.1234567890123456' }])
    }))

  it('resolves to the public table in install, also in the SQL that it prints', async () => {
    const owner = new URL(database.url).username
    await superuser.query(`create schema ${owner}; create table ${owner}.users_user (id text)`)
    try {
      const { changed } = await install(database.url, compileRules(catalog))
      expect(changed).to.eql([])
      const printed: string[] = []
      await superuser.query('alter table public.users_user disable trigger zz_invalidation_update')
      await install(database.url, compileRules(catalog), { print: (sql) => printed.push(sql) })
      // A DBA runs the SQL in a session whose search_path finds the other table first.
      await superuser.query(`set search_path = ${owner}, public`)
      for (const statements of printed) await superuser.query(statements)
      const { rows } = await superuser.query(
        `select tgrelid::regclass = 'public.users_user'::regclass as right, tgenabled as enabled
         from pg_trigger where tgname = 'zz_invalidation_update' and tgrelid::regclass::text like '%users_user'`,
      )
      expect(rows).to.eql([{ right: true, enabled: 'A' }])
    } finally {
      await superuser.query(`reset search_path; drop schema ${owner} cascade`)
    }
  })

  it('that resolves to another table than the watched one is reported by doctor', async () => {
    await superuser.query(`set search_path = ${role}, public`)
    const findings = await checkNames(superuser)
    await superuser.query('reset search_path')
    expect(findings.map(({ what }) => what)).to.eql([
      `the triggers are on public.agencies_affiliation, but here the name agencies_affiliation means agencies_affiliation`,
      `the triggers are on public.users_user, but here the name users_user means users_user`,
    ])
    expect(findings[0]?.remedy).to.contain('search_path in DATABASE_URL')
    expect(await checkNames(superuser)).to.eql([])
  })

  it('is not affected by defaults of a database, which doctor reports', async () => {
    const name = new URL(database.url).pathname.slice(1)
    expect(await checkDefaults(superuser)).to.eql([])
    await superuser.query(`alter database ${name} set default_transaction_read_only = on;
      alter database ${name} set search_path = 'elsewhere';
      alter database ${name} set session_replication_role = replica`)
    const findings = await checkDefaults(superuser)
    await superuser.query(
      `set default_transaction_read_only = off; alter database ${name} reset all`,
    )
    expect(findings.map(({ kind, what, remedy }) => [kind, what, remedy])).to.eql([
      [
        'note',
        `default_transaction_read_only=on is set for database ${name}`,
        `alter database ${name} ... reset default_transaction_read_only`,
      ],
      [
        'note',
        `search_path=elsewhere is set for database ${name}`,
        `alter database ${name} ... reset search_path`,
      ],
      [
        'wrong',
        `session_replication_role=replica is set for database ${name}`,
        `alter database ${name} ... reset session_replication_role`,
      ],
    ])
  })
})
