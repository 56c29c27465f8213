import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { Client } from 'pg'
import type { EventLog } from '../event-log/event-log.ts'
import { recordKeys, startInvalidator, type TestInvalidator } from '../support/invalidator.ts'
import { until } from '../support/until.ts'
import { bird, BIRDS, entriesOf, findSleepLockHolders, openBirds } from './birds.ts'

/** How long the writers write; the long run of it is a minute. */
const SECONDS = Number(process.env.STORM_SECONDS ?? 2)
const WRITERS = 16

/** What the writers did. */
interface Deeds {
  readonly committed: Set<number>
  readonly undone: Set<number>
  commits: number
}

describe('16 writers at once, and no fallback poll', function () {
  this.timeout((SECONDS + 60) * 1000)
  let log: EventLog

  beforeEach(async () => {
    log = await openBirds()
  })
  afterEach(() => log[Symbol.asyncDispose]())

  /** Writes in every way there is, until it is time to stop. */
  async function write(client: Client, index: number, deeds: Deeds, stopping: AbortSignal) {
    // Reproducible, and different for each.
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
          deeds.undone.add(undone)
          break
        case 1:
          await client.query(
            `begin; ${insert(kept)} savepoint s; ${insert(undone)} rollback to s; commit`,
          )
          deeds.undone.add(undone)
          deeds.committed.add(kept)
          break
        case 2:
          await client.query(
            `begin; savepoint s; ${insert(undone)} rollback to s; ${insert(kept)} commit`,
          )
          deeds.undone.add(undone)
          deeds.committed.add(kept)
          break
        case 3: {
          const [second, third] = [next(), next()]
          await client.query(`begin; ${insert(kept)}`)
          await sleep(below(20) === 0 ? 400 : 1 + below(10))
          await client.query(`${insert(second)} savepoint s; ${insert(third)} release s; commit`)
          for (const one of [kept, second, third]) deeds.committed.add(one)
          break
        }
        case 4: {
          const rows = Array.from({ length: 5 }, next)
          await client.query(`insert into bird select unnest($1::bigint[])`, [rows])
          for (const one of rows) deeds.committed.add(one)
          break
        }
        case 5:
          await client.query(insert(kept))
          deeds.committed.add(kept)
          break
        default: {
          const second = next()
          await client.query(
            `begin; ${insert(kept)} update bird set name = 'y' where id = ${kept}; ${insert(second)} commit`,
          )
          for (const one of [kept, second]) deeds.committed.add(one)
        }
      }
      deeds.commits++
    }
  }

  /** After this many commits it is known that there is a load. */
  const WARM_UP = 400

  /** `onLoad` is called when the load is there. */
  async function storm(onLoad: (deeds: Deeds) => void = () => {}): Promise<Deeds> {
    const deeds: Deeds = { committed: new Set(), undone: new Set(), commits: 0 }
    void until(() => deeds.commits >= WARM_UP).then(() => onLoad(deeds))
    const clients = await Promise.all(Array.from({ length: WRITERS }, () => log.connect()))
    const stopping = AbortSignal.timeout(SECONDS * 1000)
    await Promise.all(clients.map((client, index) => write(client, index + 1, deeds, stopping)))
    await Promise.all(clients.map((client) => client.end()))
    return deeds
  }

  /** Counts what anybody who listens would hear. */
  async function openEar() {
    const client = await log.connect()
    await client.query('listen invalidation')
    let notifications = 0
    let [notificationsBefore, commitsBefore] = [0, 0]
    client.on('notification', () => notifications++)
    return {
      onLoad: ({ commits }: Deeds) => {
        notificationsBefore = notifications
        commitsBefore = commits
      },
      /** Rings for each commit, since the load was there. */
      ratio({ commits }: Deeds): number {
        const ratio = (notifications - notificationsBefore) / (commits - commitsBefore)
        if (process.env.STORM_SECONDS) {
          process.stderr.write(
            `      ${commits} commits, ${notifications} rings, ${ratio} under load\n`,
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
    { committed, undone }: Deeds,
    invalidator: TestInvalidator,
    applied: ReadonlySet<string>,
  ) {
    const { key } = entriesOf(invalidator.redis, invalidator.prefix)
    await until(() => [...committed].every((id) => applied.has(key(bird, id))))
    expect([...undone].filter((id) => applied.has(key(bird, id)))).to.eql([])
  }

  it('each commit is applied, nothing else is, and hardly a writer rings', async () => {
    const record = recordKeys()
    await using invalidator = start(record)
    await until(() => invalidator.working)
    const subscriber = await openEar()
    const deeds = await storm(subscriber.onLoad)
    const ratio = subscriber.ratio(deeds)
    await allApplied(deeds, invalidator, record.applied)
    expect(record.flushed, 'only what had no watermark').to.have.members(['bird', 'nest', 'census'])
    expect(ratio).to.be.below(1 / 20)
  })

  it('the same with two replicas, one of which stands by and then takes over', async () => {
    const record = recordKeys()
    const first = start(record)
    await until(() => first.working)
    await using second = start(record, { prefix: first.prefix })
    await until(() => second.working && second.connected)
    const subscriber = await openEar()
    const takingOver = sleep((SECONDS * 1000) / 2).then(() => first[Symbol.asyncDispose]())
    const deeds = await storm(subscriber.onLoad)
    const ratio = subscriber.ratio(deeds)
    await takingOver
    await allApplied(deeds, second, record.applied)
    expect(record.flushed, 'the second goes on where the first stood').to.have.lengthOf(
      BIRDS.length,
    )
    expect(ratio).to.be.below(1 / 20)
  })

  it('the same with three replicas that all sleep, while the holder of the sleep lock is killed', async () => {
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
    // One commit at a time: nothing but its own ring leads to it.
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
    const deeds = await storm()
    stop.abort()
    await killing
    await allApplied(deeds, first, record.applied)
    // Asleep again, all of them.
    await all()
  })

  it('the same while the connections of both worker and listener are cut again and again', async () => {
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
    const deeds = await storm()
    stop.abort()
    await cutting
    await allApplied(deeds, invalidator, record.applied)
    expect(record.flushed).to.have.lengthOf(BIRDS.length)
  })
})
