import { expect } from 'chai'
import { Client } from 'pg'
import { pruneEventLog, recordCursors } from '../db/event-log/index.ts'
import { examine } from '../scripts/doctor/examine.ts'
import { checkPublications } from '../scripts/doctor/publications.ts'
import { checkSettings } from '../scripts/doctor/settings.ts'
import { checkStandbys } from '../scripts/doctor/standbys.ts'
import { runCli } from './support/cli.ts'
import { createTestDatabase, type TestDatabase } from './support/database.ts'
import { newPrefix, testRedisUrl } from './support/invalidator.ts'
import { until } from './support/until.ts'

describe('doctor and install on a replicated server', () => {
  let database: TestDatabase
  let sql: Client

  before(async () => {
    database = await createTestDatabase({ installed: true })
    sql = new Client({ connectionString: database.url })
    await sql.connect()
  })
  after(async () => {
    await sql.end()
    await database[Symbol.asyncDispose]()
  })

  for (const [what, target] of [
    ['FOR ALL TABLES', 'for all tables'],
    ['FOR TABLES IN SCHEMA invalidation', 'for tables in schema invalidation'],
    ['of a table of the event log', 'for table invalidation.cursor'],
  ] as const) {
    it(`reports a publication ${what}`, async function () {
      const { rows } = await sql.query<{ old: boolean }>(
        `select current_setting('server_version_num')::int < 150000 as old`,
      )
      if (target.includes('schema') && rows[0]?.old) this.skip()
      await sql.query(`create publication everything ${target}`)
      const findings = await checkPublications(sql)
      expect(findings).to.have.lengthOf(1)
      expect(findings[0]).to.include({ kind: 'wrong' })
      expect(findings[0]?.what).to.match(/^the publication everything .*\bcursor\b/)
      expect(findings[0]?.remedy).to.contain('FOR TABLES IN SCHEMA public')
      await sql.query('drop publication everything')
      expect(await checkPublications(sql)).to.eql([])
    })
  }

  it('accepts a publication of the application tables', async () => {
    await sql.query('create publication own for table users_user, projects_project')
    expect(await checkPublications(sql)).to.eql([])
    await sql.query('drop publication own')
  })

  it('prunes the event log while all tables are published', async () => {
    await sql.query('create publication everything for all tables')
    for (let minute = 0; minute < 40; minute++) {
      const { rows } = await sql.query<{ now: string }>('select pg_current_snapshot()::text as now')
      await recordCursors(sql, 'redis', [{ resource: 'a', snapshot: rows[0]?.now as string }])
      await sql.query(`select invalidation.flush('project:*')`)
      await pruneEventLog(sql, { aheadS: minute * 60 })
    }
    await sql.query('select invalidation.begin_incarnation()')
    await sql.query('update invalidation.build set retired_at = null')
    await sql.query('drop publication everything')
  })

  it('install and doctor report a publication of all tables with its remedy', async function () {
    this.timeout(60_000)
    await sql.query('create publication everything for all tables')
    const { code, output } = await runCli(
      { databaseUrl: database.url, redisUrl: testRedisUrl(), prefix: newPrefix() },
      'install',
    )
    expect(code).to.equal(0)
    expect(output).to.match(
      /WRONG {2}the publication everything FOR ALL TABLES publishes .*\n +why: .*\n +do: .*FOR TABLES IN SCHEMA public/,
    )
    const examined = await examine({
      databaseUrl: database.url,
      redisUrl: undefined,
      prefix: newPrefix(),
      maxStalenessMs: 10_000,
    })
    expect(examined).to.deep.include((await checkPublications(sql))[0])
    await sql.query('drop publication everything')
  })

  it('notes a standby and how to dump it', async () => {
    expect(await checkStandbys(sql)).to.eql([])
    const standby = new Client({
      connectionString: database.url,
      application_name: 'standby-1',
      replication: 'true',
    } as ConstructorParameters<typeof Client>[0])
    await standby.connect()
    standby.on('error', () => {})
    const { rows } = await sql.query<{ at: string }>('select pg_current_wal_lsn()::text as at')
    standby.query(`START_REPLICATION PHYSICAL ${rows[0]?.at}`).catch(() => {})
    const { stream } = (standby as unknown as { connection: { stream: NodeJS.WritableStream } })
      .connection
    await until(async () => {
      stream.write(standbyStatus(rows[0]?.at as string))
      return (await checkStandbys(sql)).length > 0
    })
    const [finding] = await checkStandbys(sql)
    expect(finding).to.include({ kind: 'note', what: 'standbys replay this server: standby-1' })
    expect(finding?.remedy).to.contain('--exclude-schema=invalidation')
    await standby.end()
    await until(async () => (await checkStandbys(sql)).length === 0)
  })

  it('notes a limit of temporary files', async () => {
    const { rows } = await sql.query<{ name: string }>('select current_database() as name')
    await sql.query(`alter database ${rows[0]?.name} set temp_file_limit = '10MB'`)
    const found = (await checkSettings(sql)).find(({ what }) => what.startsWith('temp_file_limit'))
    expect(found).to.include({ kind: 'note', what: 'temp_file_limit is 10MB' })
    expect(found?.remedy).to.contain('work_mem')
  })
})

/** Returns a standby status update: the positions that a standby has written, flushed and replayed. */
function standbyStatus(lsn: string): Buffer {
  const [high, low] = lsn.split('/').map((part) => Number.parseInt(part, 16))
  const message = Buffer.alloc(1 + 4 + 34)
  message.write('d')
  message.writeInt32BE(4 + 34, 1)
  message.write('r', 5)
  for (const offset of [6, 14, 22]) {
    message.writeUInt32BE(high as number, offset)
    message.writeUInt32BE(low as number, offset + 4)
  }
  return message
}
