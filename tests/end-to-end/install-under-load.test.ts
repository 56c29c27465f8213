import { expect } from 'chai'
import { Client } from 'pg'
import { install, retireOthers, type RulesDefinition, uninstall } from '../../db/event-log/index.ts'
import { graceMs } from '../../scripts/verbs/grace.ts'
import { compileRules } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import { type LockWatch, watchLocks } from '../support/lock-watch.ts'
import { LONG } from '../support/long.ts'
import { type ProfileWatch, type Sighting, watchProfiles } from '../support/profile-watch.ts'
import { type Repetition, repeat } from '../support/repeat.ts'
import { startSystem, type System } from '../support/system.ts'
import { until } from '../support/until.ts'

const ROUNDS = LONG ? 10 : 1
const BOUND_MS = 1_500
const GRACE_MS = graceMs({ MAX_STALENESS_MS: `${BOUND_MS}` })
/** The lock time-out of the installer is 100 ms; the rest is for the change itself. */
const MOST_WAIT_MS = 150
const PROFILES = 4

const OURS = compileRules(catalog)
/** Rules of another build: another column of a watched table, and another table. */
const THEIRS: RulesDefinition = {
  tables: [
    { name: 'contacts_address', watch: ['street'], keys: ['id'] },
    { name: 'users_user', watch: ['last_login'], keys: ['id'] },
  ],
}

/** A transaction that stays idle and holds a lock on a table. */
interface Idle {
  readonly table: string
  readonly sql: string
}
const IDLE_WRITER: Idle = {
  table: 'users_keywordtag',
  sql: 'update users_keywordtag set name = upper(name) where id = (select min(id) from users_keywordtag)',
}
const IDLE_READER: Idle = { table: 'locations_area', sql: 'select count(*) from locations_area' }
const IDLE_LOG_READER: Idle = {
  table: 'invalidation.event',
  sql: 'select count(*) from invalidation.event',
}
const IDLE_USER_WRITER: Idle = {
  table: 'users_user',
  sql: 'update users_user set last_login = now() where id = (select min(id) from users_user)',
}
const IDLE_ADDRESS_READER: Idle = {
  table: 'contacts_address',
  sql: 'select count(*) from contacts_address',
}

describe('installing and uninstalling under load', function () {
  this.timeout(60_000)

  let system: System
  let profiles: ProfileWatch
  let locks: LockWatch
  const clients: Client[] = []
  const load: Repetition[] = []
  const seen: Sighting[] = []

  before(async () => {
    system = await startSystem({ env: { MAX_STALENESS_MS: `${BOUND_MS}` } })
    locks = await watchLocks(system.databaseUrl)
    await startLoad()
  })
  after(async () => {
    await Promise.all(load.map((one) => one[Symbol.asyncDispose]()))
    await locks[Symbol.asyncDispose]()
    await Promise.all(clients.map((client) => client.end()))
    await system[Symbol.asyncDispose]()
  })

  async function connect(): Promise<Client> {
    const client = new Client({
      connectionString: system.databaseUrl,
      application_name: 'spms-test-writer',
    })
    await client.connect()
    clients.push(client)
    // Fails writes that wait longer. Sampling of the locks could miss them.
    await client.query(`set lock_timeout = '${2 * MOST_WAIT_MS}ms'`)
    return client
  }

  /** Starts updates, inserts and deletes, in transactions that use the same tables in both orders. */
  async function startLoad(): Promise<void> {
    profiles = await watchProfiles(system, await connect(), PROFILES)
    const { rows } = await system.sql.query<{ id: string; user_id: string }>(
      'select id, user_id from users_publicstaffprofile order by id desc limit 2',
    )
    const steps = ({ id, user_id }: (typeof rows)[number], round: number) => [
      `update users_user set display_last_name = 'n${round}' where id = ${user_id}`,
      `update users_userwork set role = 'r${round}' where user_id = ${user_id}`,
      `update users_publicstaffprofile set expertise = 'e${round}' where id = ${id}`,
      `insert into users_employmententry (public_profile_id, position_title, start_year)
       values (${id}, 't${round}', 2000)`,
      `delete from users_employmententry where public_profile_id = ${id}`,
    ]
    for (const [index, row] of rows.entries()) {
      const writer = await connect()
      load.push(
        repeat(async (round) => {
          await writer.query('begin')
          for (const sql of index === 0 ? steps(row, round) : steps(row, round).toReversed()) {
            await writer.query(sql)
          }
          await writer.query(round % 5 === 0 ? 'rollback' : 'commit')
        }),
      )
    }
    const [alone, keeper] = [await connect(), await connect()]
    load.push(
      repeat((round) => profiles.write(profiles.ids[round % 2] as string)),
      repeat(async (round) => seen.push(await profiles.read(profiles.ids[round % PROFILES] ?? ''))),
      repeat(async (round) => {
        await alone.query(`insert into users_keywordtag (name) values ('tag ${round}')`)
        await alone.query(
          `update users_keywordtag set name = 't ${round}' where name = 'tag ${round}'`,
        )
        await alone.query(`delete from users_keywordtag where name = 't ${round}'`)
      }),
      repeat(async () => {
        await keeper.query('vacuum users_publicstaffprofile, users_employmententry')
        await keeper.query('analyze users_user, users_keywordtag')
      }),
    )
  }

  /** Runs `act` with idle transactions that end after the installer has waited twice for each. */
  async function beside<T>(idle: readonly Idle[], act: () => Promise<T>): Promise<T> {
    const before = idle.map(({ table }) => locks.waitedFor(table))
    const standing = await Promise.all(
      idle.map(async ({ sql }) => {
        const client = await connect()
        await client.query(`begin; ${sql}`)
        return client
      }),
    )
    const ending = idle.map(async ({ table }, index) => {
      await until(() => locks.waitedFor(table) >= (before[index] ?? 0) + 2)
      // The transaction now uses a table that the installer may have locked.
      await standing[index]?.query('update users_userwork set role = role where id = 1; commit')
    })
    const [result] = await Promise.all([act(), ...ending])
    return result
  }

  /** Returns the reads during `act`. */
  async function sightings(act: () => Promise<unknown>): Promise<Sighting[]> {
    const from = seen.length
    await act()
    return seen.slice(from)
  }
  const hits = (some: readonly Sighting[]) => some.filter(({ cache }) => cache === 'hit').length
  const untilHit = () => until(() => seen.at(-1)?.cache === 'hit')
  /** Waits for two more reads of each profile. */
  const readOn = () => {
    const from = seen.length
    return until(() => seen.length > from + 2 * PROFILES)
  }

  for (let round = 1; round <= ROUNDS; round++) {
    it(`disables the cache after uninstall, round ${round}`, async () => {
      await untilHit()
      await beside([IDLE_WRITER, IDLE_READER, IDLE_LOG_READER], () =>
        uninstall(system.databaseUrl, GRACE_MS),
      )
      const after = await sightings(readOn)
      expect(after.map(({ detail }) => detail)).to.eql(after.map(() => 'triggers'))
    })

    it(`enables the cache after install, round ${round}`, async () => {
      const reader = await connect()
      await reader.query(`begin; ${IDLE_READER.sql}`)
      await beside([IDLE_WRITER], () => install(system.databaseUrl, OURS))
      await reader.query('commit')
      await untilHit()
    })

    it(`keeps entries cached while another build is installed and retired, round ${round}`, async () => {
      await beside([IDLE_USER_WRITER], () => install(system.databaseUrl, THEIRS))
      const meanwhile = await sightings(() =>
        beside([IDLE_USER_WRITER, IDLE_ADDRESS_READER], () =>
          retireOthers(system.databaseUrl, OURS, GRACE_MS),
        ),
      )
      expect(hits(meanwhile)).to.be.greaterThan(0)
      expect(meanwhile.filter(({ detail }) => detail === 'triggers')).to.eql([])
    })
  }

  it('causes no failed, deadlocked or slow write and no answer older than the staleness bound', async () => {
    // `stop()` rejects if a write or a read has failed.
    await Promise.all(load.map((one) => one.stop()))
    const { rows } = await system.sql.query<{ deadlocks: string }>(
      'select deadlocks from pg_stat_database where datname = current_database()',
    )
    expect(rows).to.eql([{ deadlocks: '0' }])
    expect(Math.max(...locks.held.values())).to.be.within(1, MOST_WAIT_MS)
    expect(Math.max(...seen.map(({ staleMs }) => staleMs))).to.be.below(BOUND_MS)
  })
})
