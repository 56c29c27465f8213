import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { Client } from 'pg'
import { LOCK, LOCK_CLASS } from '../db/event-log/event.ts'
import { install } from '../db/event-log/install.ts'
import { examine } from '../scripts/doctor/examine.ts'
import { checkPooler } from '../scripts/doctor/pooler.ts'
import { judge } from '../scripts/doctor/settings.ts'
import { root } from '../scripts/paths.ts'
import { compileRules } from '../shared/cache/compile.ts'
import { catalog } from '../shared/resources/index.ts'
import { openRedis, type Redis } from '../shared/redis.ts'
import { createTestDatabase, type TestDatabase } from './support/database.ts'
import { newPrefix, startInvalidator, type TestInvalidator } from './support/invalidator.ts'
import { type PrivateRedis, startPrivateRedis } from './support/private-redis.ts'
import { startTransactionPooler } from './support/transaction-pooler.ts'
import { until } from './support/until.ts'

describe('doctor', () => {
  const prefix = newPrefix()
  let database: TestDatabase
  let sql: Client
  let server: PrivateRedis
  let redis: Redis
  let invalidator: TestInvalidator | undefined

  before(async () => {
    database = await createTestDatabase({ installed: true })
    sql = new Client({ connectionString: database.url })
    await sql.connect()
    server = await startPrivateRedis()
    redis = openRedis(server.url, {
      name: 'spms-test',
      commandTimeoutMs: 5_000,
      onState: () => {},
    })
    await once(redis, 'ready')
    await redis.config('SET', 'maxmemory', '100mb', 'maxmemory-policy', 'volatile-lfu')
    await start()
  })
  after(async () => {
    await invalidator?.[Symbol.asyncDispose]()
    redis.disconnect()
    await server[Symbol.asyncDispose]()
    await sql.end()
    await database[Symbol.asyncDispose]()
  })

  async function start(): Promise<void> {
    invalidator = startInvalidator({
      databaseUrl: database.url,
      catalog,
      redisUrl: server.url,
      prefix,
    })
    await until(async () => (await found()).length === 0)
  }

  /** What is wrong now. */
  async function found(): Promise<string[]> {
    const findings = await examine({
      databaseUrl: database.url,
      redisUrl: server.url,
      prefix,
      maxStalenessMs: 10_000,
    })
    return findings.filter(({ kind }) => kind === 'wrong').map(({ what }) => what)
  }

  async function run(): Promise<{ readonly code: number | null; readonly printed: string }> {
    const child = spawn(process.execPath, ['--import', 'tsx', 'scripts/spms.ts', 'doctor'], {
      cwd: root,
      env: {
        ...process.env,
        DATABASE_URL: database.url,
        REDIS_URL: server.url,
        CACHE_PREFIX: prefix,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [printed, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
    return { code: code as number | null, printed }
  }

  it('finds nothing wrong with a healthy system', async () => {
    const { code, printed } = await run()
    expect(printed).to.contain('nothing is wrong')
    expect(code).to.equal(0)
  })

  it('finds a disabled trigger, says what to do, and fails', async () => {
    await sql.query('alter table users_user disable trigger zz_invalidation_update')
    const { code, printed } = await run()
    expect(printed).to.match(
      /WRONG {2}the triggers on users_user are .*disabled.*\n +why: .*\n +do: .*install/,
    )
    expect(code).to.equal(1)
    await install(database.url, compileRules(catalog))
    await until(async () => (await found()).length === 0)
  })

  it('finds a build that was retired', async () => {
    await sql.query('update invalidation.build set retired_at = now()')
    expect(await found()).to.include('the triggers on users_user were not installed for this build')
    await install(database.url, compileRules(catalog))
    await until(async () => (await found()).length === 0)
  })

  for (const policy of ['noeviction', 'allkeys-lru']) {
    it(`finds the eviction policy ${policy}`, async () => {
      await redis.config('SET', 'maxmemory-policy', policy)
      expect(await found()).to.eql([`maxmemory-policy is ${policy}`])
      await redis.config('SET', 'maxmemory-policy', 'volatile-lfu')
    })
  }

  it('finds a stranger who holds a lock of ours', async () => {
    const stranger = new Client({ connectionString: database.url, application_name: 'stranger' })
    await stranger.connect()
    await stranger.query('select pg_advisory_lock_shared($1, $2)', [LOCK_CLASS, LOCK.install])
    expect(await found(), 'as a writer does').to.eql([])
    await stranger.query('select pg_advisory_lock($1, $2)', [LOCK_CLASS, LOCK.install])
    expect((await found()).join()).to.match(/\(stranger, pid \d+\) holds an advisory lock/)
    await stranger.end()
  })

  it('finds a role of the invalidator that lacks a right', async () => {
    const role = `spms_doctor_${prefix.replace('-', '_')}`
    await sql.query(`create role ${role} login password 'x'`)
    const url = new URL(database.url)
    url.username = role
    url.password = 'x'
    const poor = new Client({ connectionString: url.href, application_name: 'spms-invalidator' })
    await poor.connect()
    expect(await found()).to.include(
      `${role}, the role of spms-invalidator, lacks truncate on invalidation.event_3`,
    )
    await poor.end()
    await until(async () => (await found()).length === 0)
    await sql.query(`drop role ${role}`)
  })

  it('finds that no invalidator runs', async () => {
    await invalidator?.[Symbol.asyncDispose]()
    invalidator = undefined
    await until(async () => (await found()).includes('no invalidator is running'))
    await start()
  })

  it('finds watermarks that nobody moves at this Redis', async () => {
    const findings = await examine({
      databaseUrl: database.url,
      redisUrl: server.url,
      prefix: newPrefix(),
      maxStalenessMs: 10_000,
    })
    expect(findings.map(({ what }) => what)).to.include('staff:profile has no watermark')
  })

  it('finds a Redis that is away', async () => {
    await server.stop()
    expect(await found()).to.include('Redis does not answer')
    await server.start()
  })

  it('finds a pooler that gives out transactions', async () => {
    await using pooler = await startTransactionPooler(database.url)
    const findings = await checkPooler(pooler.url, 'spms-doctor')
    expect(findings.map(({ what }) => what).join()).to.match(
      /one session was served by two backends, \d+ and \d+/,
    )
  })

  it('finds a database without the event log', async () => {
    await using bare = await createTestDatabase()
    const findings = await examine({
      databaseUrl: bare.url,
      redisUrl: undefined,
      prefix,
      maxStalenessMs: 10_000,
    })
    expect(findings.map(({ what }) => what)).to.include('the event log is not installed')
  })

  describe('judges settings:', () => {
    const fine = {
      standby: false,
      bell: '',
      prepared: 0,
      locks: 64,
      idle_ms: 0,
      idle_transaction_ms: 60_000,
    }
    for (const [what, change, kinds] of [
      ['as they should be', {}, []],
      ['a standby', { standby: true }, ['wrong']],
      ['a bell that must not ring', { bell: 'on', prepared: 10 }, ['wrong']],
      ['a bell that is off where it must be', { prepared: 10 }, []],
      ['a bell that is off without need', { bell: 'off' }, ['note']],
      ['few locks', { locks: 10 }, ['note']],
      ['sessions that end at once', { idle_ms: 1_000 }, ['wrong']],
      ['transactions that may idle for ever', { idle_transaction_ms: 0 }, ['note']],
    ] as const) {
      it(what, () => {
        expect(judge({ ...fine, ...change }).map(({ kind }) => kind)).to.eql(kinds)
      })
    }
  })
})
