import { expect } from 'chai'
import { type Listener, openListener } from '../../db/event-log/index.ts'
import { createProxy } from '../support/chaos-proxy.ts'
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts'
import { until } from '../support/until.ts'
import { Client } from 'pg'

describe('listener', () => {
  const applicationName = 'spms-test-listener'
  let database: TestDatabase
  let client: Client
  let notifications: number
  let states: boolean[]

  before(async () => {
    database = await createEmptyDatabase()
    client = new Client({ connectionString: database.url })
    client.on('error', () => {})
    await client.connect()
  })
  after(async () => {
    await client.end()
    await database[Symbol.asyncDispose]()
  })
  beforeEach(() => {
    notifications = 0
    states = []
  })

  const open = (url = database.url): Listener =>
    openListener({
      url,
      applicationName,
      onNotify: () => notifications++,
      onState: (connected) => states.push(connected),
    })

  async function connections(): Promise<number> {
    const { rowCount } = await client.query(
      'select from pg_stat_activity where application_name = $1 and datname = current_database()',
      [applicationName],
    )
    return rowCount ?? 0
  }

  const terminate = () =>
    client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = $1 and datname = current_database()`,
      [applicationName],
    )

  async function received(): Promise<void> {
    const before = notifications
    await client.query('notify invalidation')
    await until(() => notifications > before)
  }

  it('receives each notification, and calls onNotify once after connecting', async () => {
    await using listener = open()
    expect(listener.connected).to.be.false
    await until(() => listener.connected)
    expect(notifications).to.equal(1)
    await received()
    expect(states).to.eql([true])
  })

  it('treats every payload as a wake-up and nothing more', async () => {
    await using listener = open()
    await until(() => listener.connected)
    const before = notifications
    for (const payload of ['{', 'null', '"', 'drop table', 'x'.repeat(7999)]) {
      await client.query('select pg_notify($1, $2)', ['invalidation', payload])
    }
    await client.query(`notify something_else`)
    await until(() => notifications === before + 5)
    await received()
  })

  it('reports a lost connection at once and calls onNotify, since an idle invalidator relies on it', async () => {
    await using proxy = await createProxy(database.url)
    await proxy.listen()
    await using listener = open(proxy.url)
    await until(() => listener.connected)
    const before = notifications
    await proxy[Symbol.asyncDispose]()
    await until(() => !listener.connected)
    expect(notifications).to.be.greaterThan(before)
    await proxy.listen()
    await until(() => listener.connected)
    await received()
    expect(states).to.eql([true, false, true])
  })

  it('reconnects after every loss with one connection and calls onNotify for missed wake-ups', async () => {
    await using listener = open()
    for (let loss = 1; loss <= 4; loss++) {
      await until(() => listener.connected)
      const before = notifications
      await terminate()
      await until(() => !listener.connected)
      await until(() => listener.connected)
      expect(notifications).to.be.greaterThan(before + 1)
      await received()
    }
    expect(await connections()).to.equal(1)
  })

  it('waits for a server that is not up yet and then uses one connection', async () => {
    await using proxy = await createProxy(database.url)
    await using listener = open(proxy.url)
    let tries = 0
    await until(() => (tries = notifications) >= 3)
    expect(tries).to.be.at.least(3)
    expect(states).to.eql([])
    await proxy.listen()
    await until(() => listener.connected)
    await received()
    expect(await connections()).to.equal(1)
  })

  it('reconnects if the connection is lost before LISTEN succeeds', async () => {
    // The server accepts connections and terminates them before LISTEN completes.
    await using listener = open()
    await until(() => listener.connected)
    for (let time = 0; time < 10; time++) await terminate()
    await until(() => listener.connected)
    await received()
    expect(await connections()).to.equal(1)
  })

  it('detects a connection without traffic by its own pings and replaces it', async function () {
    this.timeout(40_000)
    await using proxy = await createProxy(database.url)
    await proxy.listen()
    await using listener = open(proxy.url)
    await until(() => listener.connected)
    states = []
    proxy.swallow()
    await until(() => states.length === 2)
    expect(states).to.deep.equal([false, true])
    await received()
  })

  it('ignores the pings of other listeners', async function () {
    this.timeout(30_000)
    await using one = open()
    await until(() => one.connected)
    const before = notifications
    const watcher = new Client({ connectionString: database.url })
    await watcher.connect()
    const pings: string[] = []
    watcher.on('notification', ({ payload }) => pings.push(payload ?? ''))
    await watcher.query('listen invalidation')
    await until(() => pings.length >= 2)
    expect(notifications).to.equal(before)
    expect(one.connected).to.be.true
    await watcher.end()
  })

  it('closes at once, even while it is connecting', async () => {
    await using proxy = await createProxy(database.url)
    const listener = open(proxy.url)
    await until(() => notifications >= 2)
    await listener[Symbol.asyncDispose]()
    await proxy.listen()
    const connected = open()
    await until(() => connected.connected)
    expect(await connections()).to.equal(1)
    await connected[Symbol.asyncDispose]()
    await until(async () => (await connections()) === 0)
  })
})
