import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { Client } from 'pg'
import type { EventLog } from '../event-log/event-log.ts'
import { recordKeys, startInvalidator, type TestInvalidator } from '../support/invalidator.ts'
import { until } from '../support/until.ts'
import { bird, BIRDS, entriesOf, findSleepLockHolders, openBirds } from './birds.ts'

/** Duration of the writes in seconds; the long run takes a minute. */
const SECONDS = Number(process.env.STORM_SECONDS ?? 2)
const WRITERS = 16

/** The ids that the writers committed and rolled back. */
interface Writes {
  readonly committed: Set<number>
  readonly undone: Set<number>
  commits: number
}

describe('16 concurrent writers without fallback polls', function () {
  this.timeout((SECONDS + 60) * 1000)
  let log: EventLog

  beforeEach(async () => {
    log = await openBirds()
  })
  afterEach(() => log[Symbol.asyncDispose]())

  /** Writes in all supported ways until the signal aborts. */
  async function write(client: Client, index: number, writes: Writes, stopping: AbortSignal) {
    // Pseudo-random, reproducible and different for each writer.
    let random = index + 1
    const below = (limit: number) => {
      random = (random * 48_271) % 2_147_483_647
      return random % limit
    }
    let id = index
    const next = () => (id += WRITERS)
    const insert = (one: number) => `insert into bird values (${one}, 'x', 1, '{}', 1);`

    while (!stopping.aborted) {
      const [kept, undone] = [next(), next()]
      switch (below(10)) {
        case 0:
          await client.query(`begin; ${insert(undone)} rollback`)
          writes.undone.add(undone)
          break
        case 1:
          await client.query(
            `begin; ${insert(kept)} savepoint s; ${insert(undone)} rollback to s; commit`,
          )
          writes.undone.add(undone)
          writes.committed.add(kept)
          break
        case 2:
          await client.query(
            `begin; savepoint s; ${insert(undone)} rollback to s; ${insert(kept)} commit`,
          )
          writes.undone.add(undone)
          writes.committed.add(kept)
          break
        case 3: {
          const [second, third] = [next(), next()]
          await client.query(`begin; ${insert(kept)}`)
          await sleep(below(20) === 0 ? 400 : 1 + below(10))
          await client.query(`${insert(second)} savepoint s; ${insert(third)} release s; commit`)
          for (const one of [kept, second, third]) writes.committed.add(one)
          break
        }
        case 4: {
          const rows = Array.from({ length: 5 }, next)
          await client.query(`insert into bird select unnest($1::bigint[])`, [rows])
          for (const one of rows) writes.committed.add(one)
          break
        }
        case 5:
          await client.query(insert(kept))
          writes.committed.add(kept)
          break
        default: {
          const second = next()
          await client.query(
            `begin; ${insert(kept)} update bird set name = 'y' where id = ${kept}; ${insert(second)} commit`,
          )
          for (const one of [kept, second]) writes.committed.add(one)
        }
      }
      writes.commits++
    }
  }

  /** After this many commits the scheduler has detected a high load. */
  const WARM_UP = 400

  /** Runs the writers; `onLoad` is called after the warm-up. */
  async function storm(onLoad: (writes: Writes) => void = () => {}): Promise<Writes> {
    const writes: Writes = { committed: new Set(), undone: new Set(), commits: 0 }
    void until(() => writes.commits >= WARM_UP).then(() => onLoad(writes))
    const clients = await Promise.all(Array.from({ length: WRITERS }, () => log.connect()))
    const stopping = AbortSignal.timeout(SECONDS * 1000)
    await Promise.all(clients.map((client, index) => write(client, index + 1, writes, stopping)))
    await Promise.all(clients.map((client) => client.end()))
    return writes
  }

  /** Counts notifications on a separate connection. */
  async function openCounter() {
    const client = await log.connect()
    await client.query('listen invalidation')
    let notifications = 0
    let [notificationsBefore, commitsBefore] = [0, 0]
    client.on('notification', () => notifications++)
    return {
      onLoad: ({ commits }: Writes) => {
        notificationsBefore = notifications
        commitsBefore = commits
      },
      /** Returns the notifications per commit since the warm-up. */
      ratio({ commits }: Writes): number {
        const ratio = (notifications - notificationsBefore) / (commits - commitsBefore)
        if (process.env.STORM_SECONDS) {
          process.stderr.write(
            `      ${commits} commits, ${notifications} notifications, ${ratio} under load\n`,
          )
        }
        return ratio
      },
    }
  }

  const start = (record: ReturnType<typeof recordKeys>, options: { prefix?: string } = {}) =>
    startInvalidator({
      databaseUrl: log.url,
      catalog: BIRDS,
      heartbeatMs: Infinity,
      listenFirst: true,
      wrapInvalidationStore: record.wrapInvalidationStore,
      ...options,
    })

  async function allApplied(
    { committed, undone }: Writes,
    invalidator: TestInvalidator,
    applied: ReadonlySet<string>,
  ) {
    const { key } = entriesOf(invalidator.redis, invalidator.prefix)
    await until(() => [...committed].every((id) => applied.has(key(bird, id))))
    expect([...undone].filter((id) => applied.has(key(bird, id)))).to.eql([])
  }

  it('every commit is applied, nothing else is, and at most one of 20 commits notifies', async () => {
    const record = recordKeys()
    await using invalidator = start(record)
    await until(() => invalidator.working)
    const subscriber = await openCounter()
    const writes = await storm(subscriber.onLoad)
    const ratio = subscriber.ratio(writes)
    await allApplied(writes, invalidator, record.applied)
    expect(record.flushed, 'only resources without a watermark').to.have.members([
      'bird',
      'nest',
      'census',
    ])
    expect(ratio).to.be.below(1 / 20)
  })

  it('every commit is applied when a standby takes over', async () => {
    const record = recordKeys()
    const first = start(record)
    await until(() => first.working)
    await using second = start(record, { prefix: first.prefix })
    await until(() => second.working && second.connected)
    const subscriber = await openCounter()
    const takingOver = sleep((SECONDS * 1000) / 2).then(() => first[Symbol.asyncDispose]())
    const writes = await storm(subscriber.onLoad)
    const ratio = subscriber.ratio(writes)
    await takingOver
    await allApplied(writes, second, record.applied)
    expect(
      record.flushed,
      'the second continues from the watermarks of the first',
    ).to.have.lengthOf(BIRDS.length)
    expect(ratio).to.be.below(1 / 20)
  })

  it('every commit is applied with three idle replicas while the holder of the sleep lock is killed', async () => {
    const record = recordKeys()
    await using first = start(record)
    await until(() => first.working)
    const { prefix } = first
    await using second = start(record, { prefix })
    await using third = start(record, { prefix })
    const replicas = [first, second, third]
    await until(() => replicas.every(({ working, connected }) => working && connected))
    const killer = await log.connect()
    const kill = async () => {
      const holder = (await findSleepLockHolders(killer)).find(({ granted }) => granted)
      if (holder) await killer.query('select pg_terminate_backend($1)', [holder.pid])
    }
    const { key } = entriesOf(first.redis, prefix)
    const all = async () => {
      await until(async () => (await findSleepLockHolders(killer)).length === 3)
    }
    // One commit at a time, so that only its own notification leads to it.
    for (let round = 1; round <= 15; round++) {
      await all()
      const mine = 1_000_000 + round
      const killing = round % 2 === 0 ? kill() : undefined
      await log.client.query(`insert into bird values (${mine}, 'x', 1, '{}', 1)`)
      await until(() => record.applied.has(key(bird, mine)))
      await killing
    }
    const stop = new AbortController()
    const killing = (async () => {
      while (!stop.signal.aborted) {
        await sleep(50)
        await kill()
      }
    })()
    const writes = await storm()
    stop.abort()
    await killing
    await allApplied(writes, first, record.applied)
    // All replicas are idle again.
    await all()
  })

  it('every commit is applied while the connections of the worker and the listener are terminated repeatedly', async () => {
    const record = recordKeys()
    await using invalidator = start(record)
    await until(() => invalidator.working)
    const cutter = await log.connect()
    const stop = new AbortController()
    const cutting = (async () => {
      for (let round = 0; !stop.signal.aborted; round++) {
        await sleep(150)
        await cutter.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where application_name = $1 and datname = current_database()`,
          [round % 2 === 0 ? 'spms-test' : 'spms-test-listener'],
        )
      }
    })()
    const writes = await storm()
    stop.abort()
    await cutting
    await allApplied(writes, invalidator, record.applied)
    expect(record.flushed).to.have.lengthOf(BIRDS.length)
  })
})
