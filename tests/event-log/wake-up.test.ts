import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect } from 'chai'
import { Client } from 'pg'
import { install, openWorkerSession, type WorkerSession } from '../../db/event-log/index.ts'
import { stateDir } from '../../scripts/paths.ts'
import { type PostgresServer, startPostgres } from '../../scripts/servers/postgres.ts'
import { until } from '../support/until.ts'
import { AVIARY, AVIARY_RULES, type EventLog, openEventLog } from './event-log.ts'

const sessionOptions = (url: string) => ({
  url,
  applicationName: 'spms-test-idle',
  statementTimeoutMs: 10_000,
  sleepLockWaitMs: 600_000,
})

/** Listens on its own connection and counts notifications since the last call. */
async function openCounter(url: string) {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query('listen invalidation')
  let received: (string | undefined)[] = []
  client.on('notification', ({ payload }) => received.push(payload))
  return {
    client,
    async countNotifications(): Promise<number> {
      // Notifications arrive in commit order, so all earlier ones have been received.
      await client.query(`notify invalidation, 'counted'`)
      await until(() => received.at(-1) === 'counted')
      const count = received.length - 1
      received = []
      return count
    },
    [Symbol.asyncDispose]: () => client.end(),
  }
}

describe('wake-up notifications', () => {
  let log: EventLog
  let idle: WorkerSession

  before(async () => {
    log = await openEventLog(AVIARY, AVIARY_RULES)
  })
  after(() => log[Symbol.asyncDispose]())
  beforeEach(async () => {
    await log.client.query('truncate bird, ring')
    idle = await openWorkerSession(sessionOptions(log.url))
  })
  afterEach(() => idle[Symbol.asyncDispose]())

  it('are not sent while no session holds the sleep lock', async () => {
    await using subscriber = await openCounter(log.url)
    await log.client.query(`insert into bird values (1); update bird set name = 'x'; truncate ring`)
    expect(await subscriber.countNotifications()).to.equal(0)
  })

  it('are sent once per transaction that changed something, after its commit', async () => {
    await using subscriber = await openCounter(log.url)
    expect(await idle.requestSleepLock()).to.be.true
    for (const sql of [
      'insert into bird values (1)',
      'begin; insert into bird values (2); update bird set weight = 2; delete from bird where id = 2; commit',
      'insert into bird select id from generate_series(10, 1000) id',
      'truncate bird cascade',
      `select invalidation.flush('x')`,
      'begin; savepoint s; insert into bird values (3); rollback to s; insert into bird values (4); commit',
    ]) {
      await log.client.query(sql)
      expect(await subscriber.countNotifications(), sql).to.equal(1)
    }
    for (const sql of [
      'begin; insert into bird values (5); rollback',
      'begin; savepoint s; insert into bird values (5); rollback to s; commit',
      'update bird set last_seen = now()',
      'delete from bird where false',
    ]) {
      await log.client.query(sql)
      expect(await subscriber.countNotifications(), sql).to.equal(0)
    }
    await idle.releaseSleepLock()
    await log.client.query('insert into bird values (6)')
    expect(await subscriber.countNotifications()).to.equal(0)
  })

  it('cannot be requested while a transaction that will not notify is open', async () => {
    const writer = await log.connect()
    await writer.query('begin; insert into bird values (1)')
    expect(await idle.requestSleepLock()).to.be.false
    await writer.query('savepoint s; insert into bird values (2); rollback to s')
    expect(await idle.requestSleepLock()).to.be.false
    await writer.query('commit')
    expect(await idle.requestSleepLock()).to.be.true
    await writer.end()
  })

  it('are sent by the next write if everything before the sleep lock was rolled back', async () => {
    await using subscriber = await openCounter(log.url)
    const writer = await log.connect()
    await writer.query('begin; savepoint s; insert into bird values (1); rollback to s')
    expect(await idle.requestSleepLock()).to.be.true
    await writer.query('insert into bird values (2); commit')
    expect(await subscriber.countNotifications()).to.equal(1)
    await writer.end()
  })

  /** Returns the sessions that hold or wait for the sleep lock. */
  async function queue(): Promise<{ pid: number; granted: boolean }[]> {
    const { rows } = await log.client.query<{ pid: number; granted: boolean }>(
      `select pid, granted from pg_locks
       where locktype = 'advisory' and mode = 'ExclusiveLock' and classid = 1397771603 and objid = 0
         and database = (select oid from pg_database where datname = current_database())
       order by granted desc`,
    )
    return rows
  }

  it('are sent for every commit while any of several sessions is idle, whichever ends', async () => {
    await using subscriber = await openCounter(log.url)
    await using second = await openWorkerSession(sessionOptions(log.url))
    await using third = await openWorkerSession(sessionOptions(log.url))
    let id = 0
    const commit = async () => {
      await log.client.query(`insert into bird values (${++id})`)
      return subscriber.countNotifications()
    }
    let lost = 0
    for (const one of [idle, second, third]) {
      one.onSleepLockLost(() => lost++)
      expect(await one.requestSleepLock()).to.be.true
      expect(await commit()).to.equal(1)
    }
    expect((await queue()).map(({ granted }) => granted)).to.eql([true, false, false])

    // Postgres grants the lock of a terminated holder to the next one in the same step.
    const [holder] = await queue()
    await log.client.query('select pg_terminate_backend($1)', [holder?.pid])
    for (let round = 0; round < 20; round++) expect(await commit()).to.equal(1)
    await until(() => lost === 1)
    expect([idle, second, third].map((one) => one.hasSleepLockRequest())).to.eql([
      false,
      true,
      true,
    ])
    expect((await queue()).map(({ granted }) => granted)).to.eql([true, false])

    // A waiting session leaves the queue, then the last holder releases its lock.
    await third.releaseSleepLock()
    expect([await commit(), second.hasSleepLockRequest(), lost]).to.eql([1, true, 1])
    expect(await idle.requestSleepLock()).to.be.true
    await second.releaseSleepLock()
    expect([await commit(), idle.hasSleepLockRequest()]).to.eql([1, true])
    await idle.releaseSleepLock()
    expect(await commit()).to.equal(0)
    expect(await queue()).to.eql([])
  })

  it('are not sent after the sleep lock was refused: no request stays in the queue', async () => {
    await using subscriber = await openCounter(log.url)
    const writer = await log.connect()
    await writer.query('begin; insert into bird values (1)')
    expect(await idle.requestSleepLock()).to.be.false
    expect(await queue()).to.eql([])
    await log.client.query('insert into bird values (2)')
    expect(await subscriber.countNotifications()).to.equal(0)
    await writer.query('commit')
    await writer.end()
  })

  it('are no longer requested by an unresponsive session within seconds, holder or waiter', async () => {
    await using holder = await openWorkerSession(sessionOptions(log.url))
    await using waiter = await openWorkerSession({
      ...sessionOptions(log.url),
      sleepLockWaitMs: 1_000,
    })
    const lost = new Set<WorkerSession>()
    for (const one of [holder, waiter]) {
      one.onSleepLockLost(() => lost.add(one))
      expect(await one.requestSleepLock()).to.be.true
    }
    await until(() => lost.has(waiter))
    expect([holder.hasSleepLockRequest(), waiter.hasSleepLockRequest()]).to.eql([true, false])
    expect(await queue()).to.have.lengthOf(1)
    // It can request the lock again at once.
    expect(await waiter.requestSleepLock()).to.be.true
    await until(() => !holder.hasSleepLockRequest())
    await until(async () => (await queue()).length === 0)
  })

  it('are not sent where invalidation.notify is off, and the session knows it', async () => {
    await using subscriber = await openCounter(log.url)
    expect(idle.writersNotify).to.be.true
    expect(await idle.requestSleepLock()).to.be.true
    await log.client.query(
      `alter database ${new URL(log.url).pathname.slice(1)} set invalidation.notify = 'off'`,
    )
    const writer = await log.connect()
    await writer.query('insert into bird values (1)')
    expect(await subscriber.countNotifications()).to.equal(0)
    const informed = await openWorkerSession(sessionOptions(log.url))
    expect(informed.writersNotify).to.be.false
    await informed[Symbol.asyncDispose]()
    await writer.query(`set invalidation.notify = 'on'; update bird set name = 'x'`)
    expect(await subscriber.countNotifications()).to.equal(1)
    await writer.end()
    await log.client.query(
      `alter database ${new URL(log.url).pathname.slice(1)} reset invalidation.notify`,
    )
  })
})

describe('wake-up notifications with prepared transactions and a short queue', function () {
  this.timeout(60_000)
  const name = `wake-up-${process.pid}`
  let server: PostgresServer
  let url: string
  let client: Client

  before(async () => {
    server = await startPostgres({
      stateDir,
      name,
      durable: false,
      settings: { max_prepared_transactions: 2, max_notify_queue_pages: 64 },
      print: () => {},
    })
    url = server.url
    client = new Client({ connectionString: url })
    await client.connect()
    await client.query(AVIARY)
    await install(url, AVIARY_RULES)
  })
  after(async () => {
    await client?.end()
    await server?.stop()
    await rm(join(stateDir, `${name}.log`), { force: true })
    await rm(dirname(server.dataDir), { recursive: true, force: true })
  })

  it('allow PREPARE TRANSACTION, refuse the sleep lock meanwhile and log the commit', async () => {
    await using idle = await openWorkerSession(sessionOptions(url))
    expect(idle.writersNotify).to.be.false
    await client.query(`begin; insert into bird values (1); prepare transaction 'p'`)
    expect(await idle.requestSleepLock()).to.be.false
    await client.query(`commit prepared 'p'`)
    expect(await idle.requestSleepLock()).to.be.true

    await client.query(`begin; insert into bird values (2); prepare transaction 'q'`)
    await client.query(`commit prepared 'q'`)
    const { rows } = await client.query('select keys from invalidation.event order by xid')
    expect(rows).to.eql([{ keys: [['1', null]] }, { keys: [['2', null]] }])
  })

  it('are skipped when the queue is half full, and no write fails', async () => {
    await using idle = await openWorkerSession(sessionOptions(url))
    await using subscriber = await openCounter(url)
    await client.query(`set invalidation.notify = 'on'`)
    expect(await idle.requestSleepLock()).to.be.true
    await client.query('insert into bird values (10)')
    expect(await subscriber.countNotifications()).to.equal(1)

    // A listener in a transaction keeps all notifications in the queue.
    await subscriber.client.query('begin')
    const text = 'x'.repeat(7_900)
    for (let sent = 0; sent < 40; sent++) await client.query(`notify other, '${text}${sent}'`)
    const { rows } = await client.query<{ usage: number }>(
      'select pg_notification_queue_usage() as usage',
    )
    expect(rows[0]?.usage).to.be.greaterThan(0.5)
    await client.query('insert into bird values (11)')
    // Fills the queue completely.
    const full = await (async () => {
      for (;;) await client.query(`notify other, '${text}${Math.random()}'`)
    })().catch(String)
    expect(full).to.include('too many notifications')
    await client.query('insert into bird values (12)')
    await subscriber.client.query('commit')
    await until(async () => {
      const { rows } = await client.query<{ usage: number }>(
        'select pg_notification_queue_usage() as usage',
      )
      return rows[0]?.usage === 0
    })
    expect(await subscriber.countNotifications()).to.equal(0)
    await client.query('insert into bird values (13)')
    expect(await subscriber.countNotifications()).to.equal(1)
  })
})
