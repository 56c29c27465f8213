import { expect } from 'chai'
import { isSilence, openWorkerSession } from '../../db/event-log/index.ts'
import { createProxy } from '../support/chaos-proxy.ts'
import { createEmptyDatabase } from '../support/database.ts'
import { until } from '../support/until.ts'
import { AVIARY, AVIARY_RULES, type EventLog, openEventLog } from './event-log.ts'

describe('worker session', () => {
  const applicationName = 'spms-test-session'
  let log: EventLog

  before(async () => {
    log = await openEventLog(AVIARY, AVIARY_RULES)
  })
  after(() => log[Symbol.asyncDispose]())

  const open = (url = log.url, statementTimeoutMs = 10_000) =>
    openWorkerSession({ url, applicationName, statementTimeoutMs })

  const incarnations = async () =>
    (await log.client.query<{ id: string }>('select id from invalidation.incarnation')).rows

  it('aborts `lost` when its connection is lost', async () => {
    await using session = await open()
    expect(session.lost.aborted).to.be.false
    await log.client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1`,
      [applicationName],
    )
    await until(() => session.lost.aborted)
  })

  it('releases its locks when it closes', async () => {
    const session = await open()
    expect(await session.tryLock(5, 6)).to.be.true
    await using other = await open()
    expect(await other.tryLock(5, 6)).to.be.false
    await session[Symbol.asyncDispose]()
    await until(() => other.tryLock(5, 6))
  })

  it('leaves no connection open when nothing is installed', async () => {
    await using empty = await createEmptyDatabase()
    const database = new URL(empty.url).pathname.slice(1)
    const error = await open(empty.url).catch((error: unknown) => error)
    expect(String(error)).to.include('"invalidation" does not exist')
    await until(async () => {
      const { rowCount } = await log.client.query(
        'select from pg_stat_activity where datname = $1',
        [database],
      )
      return rowCount === 0
    })
  })

  it('begins a new incarnation after a crash has emptied the unlogged table', async () => {
    const before = await incarnations()
    await (await open())[Symbol.asyncDispose]()
    expect(await incarnations()).to.eql(before)
    await log.client.query('truncate invalidation.incarnation')
    await Promise.all(
      [open(), open(), open()].map(async (one) => (await one)[Symbol.asyncDispose]()),
    )
    const after = await incarnations()
    expect(after).to.have.lengthOf(1)
    expect(after).not.to.eql(before)
  })

  for (const [what, change] of [
    ['after a restart', `postmaster_started_at = postmaster_started_at - interval '1 s'`],
    ['in a copy of the cluster', 'system = system + 1'],
    ['on another timeline', 'timeline = timeline + 1'],
    ['in a database created from this one', 'database = 1'],
    ['in another database with the oid of this one', `database_row = '1'`],
  ] as const) {
    it(`begins a new incarnation ${what}`, async () => {
      const before = await incarnations()
      await log.client.query(`update invalidation.incarnation set ${change}`)
      await Promise.all(
        [open(), open(), open()].map(async (one) => (await one)[Symbol.asyncDispose]()),
      )
      const after = await incarnations()
      expect(after).to.have.lengthOf(1)
      expect(after).not.to.eql(before)
    })
  }

  it('does not return an incarnation from before a server restart', async () => {
    const incarnation = async () =>
      (await log.client.query('select from invalidation.current_incarnation')).rowCount
    await (await open())[Symbol.asyncDispose]()
    expect(await incarnation()).to.equal(1)
    await log.client.query(
      `update invalidation.incarnation set postmaster_started_at = postmaster_started_at - interval '1 s'`,
    )
    expect(await incarnation()).to.equal(0)
    await (await open())[Symbol.asyncDispose]()
    expect(await incarnation()).to.equal(1)
  })

  it('loses its snapshot when the process is suspended for long', async function () {
    this.timeout(20_000)
    await using session = await open()
    const { rows } = await session.client.query<{ ms: string }>(
      `select setting as ms from pg_settings where name = 'idle_in_transaction_session_timeout'`,
    )
    expect(Number(rows[0]?.ms)).to.be.within(1, 10_000)
    await session.client.query(`set idle_in_transaction_session_timeout = '100ms'`)
    await session.client.query('begin isolation level repeatable read')
    await until(() => session.lost.aborted)
  })

  it('distinguishes a silent server from other failures, and can be closed then', async () => {
    await using proxy = await createProxy(log.url)
    await proxy.listen()
    const session = await open(proxy.url, 100)
    const slow = await session.client.query('select pg_sleep(1)').catch((error: unknown) => error)
    expect(isSilence(slow), 'the server replied').to.be.false
    expect(String(slow)).to.include('statement timeout')
    proxy.delayMs = 5_000
    const silent = await session.client.query('select 1').catch((error: unknown) => error)
    expect(isSilence(silent)).to.be.true
    await session[Symbol.asyncDispose]()
  })
})
