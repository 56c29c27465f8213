import { once } from 'node:events'
import { expect } from 'chai'
import { Client } from 'pg'
import { install, LOCK_CLASS, LOCK } from '../db/event-log/index.ts'
import { checkLocks, clockFindings, type Finding, infoFindings } from '../invalidator/index.ts'
import { examine } from '../scripts/doctor/examine.ts'
import { checkPooler } from '../scripts/doctor/pooler.ts'
import { settingFindings } from '../scripts/doctor/settings.ts'
import { compileRules, openRedis, type Redis } from '../shared/cache/index.ts'
import { APPLICATION } from '../shared/application.ts'
import { catalog } from '../shared/resources/index.ts'
import { runCli } from './support/cli.ts'
import { createTestDatabase, type TestDatabase } from './support/database.ts'
import { newPrefix, startInvalidator, type TestInvalidator } from './support/invalidator.ts'
import { type PrivateRedis, startPrivateRedis } from './support/private-redis.ts'
import { startTransactionPooler } from './support/transaction-pooler.ts'
import { until } from './support/until.ts'

/** SQL for remedies that are described in words. */
const UNDO: Readonly<Record<string, string>> = {
  'users_keywordtag is a partition or inherits from another table':
    'alter table users_keywordtag no inherit tag; drop table tag; analyze users_keywordtag',
  'users_keywordtag has no column name': 'alter table users_keywordtag rename label to name',
  'invalidation.event has triggers or rules that are not ours':
    'drop rule nothing on invalidation.event',
  'lacks insert on invalidation.event_1: writes fail': 'select',
  'invalidation.event_2 is not unlogged': 'select',
  'invalidation.event_2 lacks its trigger for TRUNCATE': 'select',
}

describe('doctor', function () {
  this.timeout(60_000)
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
    await sql.query(`drop role if exists spms_owner_${prefix.replace('-', '_')}`)
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

  async function connectAs(application: string, url = database.url): Promise<Client> {
    const client = new Client({ connectionString: url, application_name: application })
    // A failed test leaves its connection open, and dropping the database terminates it.
    client.on('error', () => {})
    await client.connect()
    return client
  }

  const look = (maxStalenessMs = 10_000) =>
    examine({ databaseUrl: database.url, redisUrl: server.url, prefix, maxStalenessMs })
  const whats = (findings: readonly Finding[]) => findings.map(({ what }) => what)

  /** Returns the current findings that are wrong. */
  const found = async () => whats((await look()).filter(({ kind }) => kind === 'wrong'))

  const run = () => runCli({ databaseUrl: database.url, redisUrl: server.url, prefix }, 'doctor')

  it('reports nothing for a healthy system and exits with 0', async () => {
    const { code, output } = await run()
    expect(output).to.contain('nothing is wrong')
    expect(output).not.to.contain('of no resource of this build')
    expect(code).to.equal(0)
  })

  it('reports a disabled trigger with its remedy and exits with 1', async () => {
    await sql.query('alter table users_user disable trigger zz_invalidation_update')
    const { code, output } = await run()
    expect(output).to.match(
      /WRONG {2}the triggers on users_user are .*disabled.*\n +why: .*\n +do: .*install/,
    )
    expect(code).to.equal(1)
    await until(async () => (await found()).includes('reading user:me from the cache is disabled'))
    await install(database.url, compileRules(catalog))
    await until(async () => (await found()).length === 0)
  })

  it('reports a retired build', async () => {
    await sql.query('update invalidation.build set retired_at = now()')
    expect(await found()).to.include('the triggers on users_user were not installed for this build')
    await install(database.url, compileRules(catalog))
    await until(async () => (await found()).length === 0)
  })

  for (const [what, change, remedy] of [
    [
      'row level security is enabled on users_keywordtag',
      'alter table users_keywordtag enable row level security',
      'alter table users_keywordtag disable row level security',
    ],
    [
      'users_keywordtag is a partition or inherits from another table',
      'create table tag (id bigint); alter table users_keywordtag inherit tag',
      'remove the inheritance',
    ],
    [
      'users_keywordtag has no column name',
      'alter table users_keywordtag rename name to label',
      'restore the definition of users_keywordtag',
    ],
    [
      'invalidation.event has triggers or rules that are not ours',
      'create rule nothing as on insert to invalidation.event do instead nothing',
      'drop the triggers and rules',
    ],
    [
      'lacks insert on invalidation.event_1: writes fail',
      `create role spms_owner_${prefix.replace('-', '_')};
       alter function invalidation.log_truncate() owner to spms_owner_${prefix.replace('-', '_')};
       revoke insert on invalidation.event_1 from public`,
      'npm run spms -- install',
    ],
    [
      'invalidation.event_2 is not unlogged',
      'alter table invalidation.event_2 set logged',
      'npm run spms -- install',
    ],
    [
      'invalidation.event_2 lacks its trigger for TRUNCATE',
      'alter table invalidation.event_2 disable trigger end_incarnation',
      'npm run spms -- install',
    ],
  ] as const) {
    it(`reports "${what}" with its remedy`, async () => {
      await sql.query(change)
      const finding = (await look()).find((one) => one.what.includes(what))
      expect(finding?.kind).to.equal('wrong')
      expect(finding?.remedy).to.contain(remedy)
      await sql.query(UNDO[what] ?? finding?.remedy ?? '')
      if (remedy.endsWith('install')) await install(database.url, compileRules(catalog))
      await until(async () => (await found()).length === 0)
    })
  }

  for (const policy of ['noeviction', 'allkeys-lru']) {
    it(`reports the eviction policy ${policy}`, async () => {
      await redis.config('SET', 'maxmemory-policy', policy)
      expect(await found()).to.eql([`maxmemory-policy is ${policy}`])
      await redis.config('SET', 'maxmemory-policy', 'volatile-lfu')
    })
  }

  it('notes an eviction policy other than volatile-lru and volatile-lfu, and a missing memory limit', async () => {
    await redis.config('SET', 'maxmemory', '0', 'maxmemory-policy', 'volatile-random')
    expect(await found()).to.eql([])
    expect(whats(await look())).to.include.members([
      'maxmemory-policy is volatile-random',
      'maxmemory is not set',
    ])
    await redis.config('SET', 'maxmemory', '100mb', 'maxmemory-policy', 'volatile-lfu')
  })

  it('reports that Redis is a replica', async () => {
    await redis.call('REPLICAOF', '127.0.0.1', '1')
    let findings: readonly string[]
    try {
      findings = await found()
    } finally {
      await redis.call('REPLICAOF', 'NO', 'ONE')
    }
    expect(findings).to.include('this Redis is a replica')
    expect(findings.join(), 'the other checks').not.to.include('cannot examine')
    await until(async () => (await found()).length === 0)
  })

  for (const status of ['rdb_last_bgsave_status', 'aof_last_write_status']) {
    it(`reports that Redis cannot save: ${status}`, () => {
      const info = { maxmemory_policy: 'volatile-lfu', maxmemory: '1', role: 'master' }
      expect(infoFindings(new Map(Object.entries(info)))).to.eql([])
      const findings = infoFindings(new Map(Object.entries({ ...info, [status]: 'err' })))
      expect(whats(findings)).to.eql([`${status} is err`])
      expect(findings[0]?.kind).to.equal('wrong')
    })
  }

  for (const [offsetMs, kinds] of [
    [900, []],
    [-1_500, ['note']],
    [1_500, ['note']],
    [21_000, ['wrong']],
    [-21_000, ['wrong']],
  ] as const) {
    it(`reports ${kinds[0] ?? 'nothing'} for a clock that differs by ${offsetMs} ms`, () => {
      const findings = clockFindings('Redis', offsetMs)
      expect(findings.map(({ kind }) => kind)).to.eql(kinds)
      for (const { what } of findings) expect(what).to.contain(`of Redis differs`)
    })
  }

  it('reports another program that holds an advisory lock of the event log', async () => {
    const other = await connectAs('other')
    await other.query('select pg_advisory_lock_shared($1, $2)', [LOCK_CLASS, LOCK.install])
    expect(await found(), 'a shared lock, as of a writer').to.eql([])
    await other.query('select pg_advisory_lock($1, $2)', [LOCK_CLASS, LOCK.install])
    expect((await found()).join()).to.match(/\(other, pid \d+\) holds an advisory lock/)
    await other.end()
  })

  it('notes a long transaction of a writer', async () => {
    const writer = await connectAs('loader')
    await writer.query(`begin; select pg_advisory_xact_lock_shared(${LOCK_CLASS}, ${LOCK.install})`)
    expect(whats(await checkLocks(sql, APPLICATION, 0)).join()).to.match(
      /\(loader, pid \d+\) has been writing in one transaction for 0 s/,
    )
    expect(await checkLocks(sql, APPLICATION)).to.eql([])
    await writer.end()
  })

  describe('missing rights of a role', () => {
    for (const [application, lacking] of [
      [
        'spms-api',
        [
          'usage on schema public',
          'usage on schema invalidation',
          'select on invalidation.current_incarnation',
          'execute on function invalidation.begin_incarnation()',
          'select on users_keywordtag',
          'insert, update, delete on projects_projectmember',
          'insert, update, delete on users_user',
          'delete on django_admin_log',
        ],
      ],
      [
        'spms-invalidator',
        [
          'usage on schema public',
          'usage on schema invalidation',
          'execute on function invalidation.begin_incarnation()',
          'select on invalidation.rules',
          'select, insert, update, delete on invalidation.cursor',
          'select, truncate on invalidation.event_3',
          'select on projects_project',
        ],
      ],
    ] as const) {
      it(`reports those of ${application}, and nothing after its remedies were applied`, async () => {
        const role = `spms_doctor_${prefix.replace('-', '_')}`
        await sql.query(`create role ${role} login password 'x';
          revoke usage on schema public from public`)
        const url = new URL(database.url)
        url.username = role
        url.password = 'x'
        const limited = await connectAs(application, url.href)
        const findings = (await look()).filter(({ kind }) => kind === 'wrong')
        expect(whats(findings)).to.include.members(
          lacking.map((rights) => `${role}, the role of ${application}, lacks ${rights}`),
        )
        // On a busy machine the invalidator may lose its session and reconnect. That has no remedy in SQL.
        for (const { what, remedy } of findings) {
          if (what.includes(' lacks ')) await sql.query(remedy.split(';')[0] as string)
        }
        await until(async () => (await found()).length === 0)
        await sql.query(`drop owned by ${role}; grant usage on schema public to public`)
        await limited.end()
        await until(async () => (await found()).length === 0)
        await sql.query(`drop role ${role}`)
      })
    }
  })

  it('reports that no incarnation has begun', async () => {
    // An invalidator would begin a new incarnation.
    await invalidator?.[Symbol.asyncDispose]()
    await sql.query('delete from invalidation.incarnation')
    expect(await found()).to.include('no incarnation has begun since Postgres was started')
    await start()
  })

  it('notes that the API is connected as a superuser', async () => {
    const superuser = await connectAs('spms-api')
    expect(whats(await look()).join()).to.match(/spms-api is connected as \w+, a superuser/)
    await superuser.end()
  })

  it('notes a table without planner statistics', async () => {
    const finding = 'agencies_affiliation was never analysed'
    expect(whats(await look())).not.to.include(finding)
    await sql.query(`alter table agencies_affiliation set (autovacuum_enabled = off)`)
    await sql.query(`insert into agencies_affiliation (name)
      select repeat('x', 100) || n from generate_series(1, 20000) n`)
    expect(whats(await look())).to.include(finding)
    await sql.query('analyze agencies_affiliation')
    await until(async () => !whats(await look()).includes(finding))
  })

  it('reports that no invalidator runs', async () => {
    await invalidator?.[Symbol.asyncDispose]()
    invalidator = undefined
    await until(async () => (await found()).includes('no invalidator is running'))
    await start()
  })

  it('reports missing watermarks under another prefix', async () => {
    const findings = await examine({
      databaseUrl: database.url,
      redisUrl: server.url,
      prefix: newPrefix(),
      maxStalenessMs: 10_000,
    })
    expect(findings.map(({ what }) => what)).to.include('staff:profile has no watermark')
  })

  it('reports watermarks above the staleness bound', async () => {
    expect(whats(await look(-1)).join()).to.match(/the watermark of staff:profile is \d+ s old/)
  })

  it('reports that another database owns the watermarks', async () => {
    await using other = await createTestDatabase({ installed: true })
    const findings = await examine({
      databaseUrl: other.url,
      redisUrl: server.url,
      prefix,
      maxStalenessMs: 10_000,
    })
    expect(findings.map(({ what }) => what)).to.include(
      'staff:profile is invalidated for another database',
    )
  })

  it('reports that Redis does not answer', async () => {
    await server.stop()
    expect(await found()).to.include('Redis does not answer')
    await server.start()
  })

  it('reports a pooler in transaction mode', async () => {
    await using pooler = await startTransactionPooler(database.url)
    const findings = await checkPooler(pooler.url, 'spms-doctor')
    expect(findings.map(({ what }) => what).join()).to.match(
      /backend \d+ served two clients at once/,
    )
  })

  it('reports a database without the event log', async () => {
    await using bare = await createTestDatabase()
    const findings = await examine({
      databaseUrl: bare.url,
      redisUrl: undefined,
      prefix,
      maxStalenessMs: 10_000,
    })
    expect(findings.map(({ what }) => what)).to.include('the event log is not installed')
  })

  describe('settings of Postgres', () => {
    const fine = {
      standby: false,
      notify: '',
      prepared: 0,
      locks: 64,
      idle_ms: 0,
      idle_transaction_ms: 60_000,
      temp_limits: [],
    }
    for (const [what, change, kinds] of [
      ['recommended settings', {}, []],
      ['a standby', { standby: true }, ['wrong']],
      ['NOTIFY with prepared transactions', { notify: 'on', prepared: 10 }, ['wrong']],
      ['no NOTIFY with prepared transactions', { prepared: 10 }, []],
      ['no NOTIFY without prepared transactions', { notify: 'off' }, ['note']],
      ['few locks per transaction', { locks: 10 }, ['note']],
      ['a short idle_session_timeout', { idle_ms: 1_000 }, ['wrong']],
      ['no idle_in_transaction_session_timeout', { idle_transaction_ms: 0 }, ['note']],
      ['a limit of temporary files', { temp_limits: ['1MB of loader'] }, ['note']],
    ] as const) {
      it(`reports ${kinds[0] ?? 'nothing'} for ${what}`, () => {
        expect(settingFindings({ ...fine, ...change }).map(({ kind }) => kind)).to.eql(kinds)
      })
    }
  })
})
