import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { Client } from 'pg'
import { install, openWorkerSession, readStatus } from '../../db/event-log/index.ts'
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts'
import { AVIARY, AVIARY_RULES } from './event-log.ts'

/** Roles are shared by the whole cluster. */
const suffix = randomBytes(4).toString('hex')
const OWNER = `spms_owner_${suffix}`
const OTHER = `spms_other_${suffix}`
const WRITER = `spms_writer_${suffix}`
const SERVICE = `spms_service_${suffix}`

describe('rights revoked from the owner of the event log', () => {
  let database: TestDatabase
  let superuser: Client
  let writer: Client

  before(async () => {
    database = await createEmptyDatabase()
    superuser = new Client({ connectionString: database.url })
    await superuser.connect()
    await superuser.query(
      `create role ${OWNER} login password 'x'; create role ${OTHER} login password 'x';
       create role ${WRITER} login password 'x'; create role ${SERVICE} login password 'x';
       do $$ begin execute format('grant create on database %I to ${OWNER}', current_database()); end $$;
       grant create on schema public to ${OWNER}`,
    )
    const owner = await connect(OWNER)
    await owner.query(AVIARY)
    await owner.end()
    await install(urlOf(OWNER), AVIARY_RULES)
    await superuser.query(
      `grant select, insert, update, delete, truncate on all tables in schema public to ${WRITER};
       grant usage on schema invalidation to ${SERVICE};
       grant select on invalidation.current_incarnation to ${SERVICE};
       grant execute on function invalidation.begin_incarnation() to ${SERVICE}`,
    )
    writer = await connect(WRITER)
  })
  after(async () => {
    await writer.end()
    for (const role of [OWNER, OTHER, WRITER, SERVICE]) {
      await superuser.query(`drop owned by ${role} cascade; drop role ${role}`)
    }
    await superuser.end()
    await database[Symbol.asyncDispose]()
  })

  function urlOf(role: string): string {
    const url = new URL(database.url)
    url.username = role
    url.password = 'x'
    return url.href
  }
  async function connect(role: string): Promise<Client> {
    const client = new Client({ connectionString: urlOf(role) })
    client.on('error', () => {})
    await client.connect()
    return client
  }
  const problems = async () => [
    ...new Set((await readStatus(database.url)).damaged.map(({ text }) => text)),
  ]

  /** Runs every kind of write that triggers log, while a session holds the sleep lock. */
  async function write(): Promise<void> {
    const idle = await connect(SERVICE)
    await idle.query('select pg_advisory_lock(1397771603, 0)')
    try {
      await writer.query(`insert into nest values (100, 'ash'); update nest set place = 'elm' where id = 100;
        insert into ring select 1, n from generate_series(1, 600) n where false;
        delete from nest where id = 100; truncate ring`)
    } finally {
      await idle.end()
    }
  }

  const CANNOT_BEGIN = `${OWNER}, the owner of begin_incarnation(), lacks insert or update on invalidation.incarnation: no invalidator starts after a restart of the server`

  for (const [what, change, expected] of [
    [
      'the tables of every schema get another owner',
      `do $$ declare found record; begin
         for found in select schemaname, tablename from pg_tables
                       where schemaname in ('public', 'invalidation')
         loop execute format('alter table %I.%I owner to ${OTHER}', found.schemaname, found.tablename); end loop;
       end $$`,
      [CANNOT_BEGIN],
    ],
    [
      'all rights on tables are revoked from the owner',
      `revoke all on all tables in schema invalidation from ${OWNER}`,
      [CANNOT_BEGIN],
    ],
    [
      'all rights on functions are revoked from the owner',
      `revoke all on all functions in schema invalidation from ${OWNER}`,
      [],
    ],
    ['the owner reassigns all its objects', `reassign owned by ${OWNER} to ${OTHER}`, []],
  ] as const) {
    it(`let writes and the incarnation work after ${what}`, async () => {
      await superuser.query(change)
      await write()
      const service = await connect(SERVICE)
      expect(
        (await service.query('select from invalidation.current_incarnation')).rowCount,
      ).to.equal(1)
      await service.end()
      // Reading the current incarnation requires no right to write.
      const session = await openWorkerSession({
        url: urlOf(SERVICE),
        applicationName: 'spms-test',
        statementTimeoutMs: 10_000,
      })
      await session[Symbol.asyncDispose]()
      expect(await problems()).to.eql(expected)
      await install(database.url, AVIARY_RULES)
      expect(await problems()).to.eql([])
    })
  }

  for (const [what, change, problem] of [
    [
      'functions get an owner that cannot use the schema',
      `alter function invalidation.log_update_2() owner to ${WRITER}`,
      `${WRITER}, the owner of a trigger function, lacks usage on schema invalidation: writes fail`,
    ],
    [
      'no role may insert',
      `revoke insert on all tables in schema invalidation from public, ${OTHER}`,
      `${OTHER}, the owner of a trigger function, lacks insert on invalidation.event_0: writes fail`,
    ],
    [
      'no role may notify',
      `revoke all on all functions in schema invalidation from public, ${OTHER}`,
      `${OTHER}, the owner of a trigger function, lacks execute on invalidation.notify(): writes fail`,
    ],
    [
      'the schema gets another owner',
      `alter schema invalidation owner to ${SERVICE}`,
      `${OTHER}, the owner of a trigger function, lacks usage on schema invalidation: writes fail`,
    ],
  ] as const) {
    it(`are reported when writes fail because ${what}, and restored by install`, async () => {
      await superuser.query(change)
      const failure = await write().catch((error: unknown) => error)
      expect(failure).to.have.property('code', '42501')
      expect(await problems()).to.include(problem)
      await install(database.url, AVIARY_RULES)
      expect(await problems()).to.eql([])
      await write()
    })
  }

  it('give a role without USAGE on the schema no access to the event log', async () => {
    for (const statement of [
      'insert into invalidation.event select',
      'select from invalidation.incarnation',
      'select invalidation.notify()',
    ]) {
      const failure = await writer.query(statement).catch((error: unknown) => error)
      expect(failure, statement).to.have.property('code', '42501')
    }
  })
})
