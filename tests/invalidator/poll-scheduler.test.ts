import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import fc from 'fast-check'
import type { Client } from 'pg'
import { openWorkerSession, type WorkerSession } from '../../db/event-log/index.ts'
import { createPollScheduler } from '../../invalidator/poll-scheduler.ts'
import { WakeUp } from '../../invalidator/wake-up.ts'
import type { EventLog } from '../event-log/event-log.ts'
import {
  newPrefix,
  openWorker,
  recordKeys,
  startInvalidator,
  type WrapStore,
} from '../support/invalidator.ts'
import { until } from '../support/until.ts'
import { bird, BIRDS, entriesOf, openBirds, isSleepLockHeld } from './birds.ts'

describe('WakeUp', () => {
  const never = new AbortController().signal

  it('ends a wait on notify()', async () => {
    const wakeUp = new WakeUp()
    const waiting = wakeUp.wait(Infinity, never)
    wakeUp.notify()
    await waiting
  })

  it('ends the next wait at once after earlier notifications, and only that one', async () => {
    const wakeUp = new WakeUp()
    wakeUp.notify()
    wakeUp.notify()
    await wakeUp.wait(Infinity, never)
    expect(await Promise.race([wakeUp.wait(Infinity, never), sleep(20, 'waiting')])).to.equal(
      'waiting',
    )
  })

  it('ends a wait after its timeout or when the signal aborts', async () => {
    const wakeUp = new WakeUp()
    await wakeUp.wait(5, never)
    const stop = new AbortController()
    const waiting = wakeUp.wait(Infinity, stop.signal)
    stop.abort()
    await waiting
    await wakeUp.wait(Infinity, stop.signal)
  })
})

describe('idle invalidator without heartbeat', () => {
  let log: EventLog
  let id = 0
  /** Shared by all invalidators here, so that none of them starts with a flush. */
  const prefix = newPrefix()

  before(async () => {
    log = await openBirds()
    await using first = await openWorker({ databaseUrl: log.url, catalog: BIRDS, prefix })
    first.worker.acquire(BIRDS)
    await first.worker.applyWindow()
  })
  after(() => log[Symbol.asyncDispose]())

  /** Starts an invalidator that calls `reached` between the steps of its work. */
  function startWatched(reached: () => Promise<void>) {
    const record = recordKeys()
    const wrapSession = (session: WorkerSession): WorkerSession => {
      const query = session.client.query.bind(session.client) as (
        ...args: unknown[]
      ) => Promise<unknown>
      let sent: Promise<unknown> = Promise.resolve()
      // Statements may be sent together; they are executed in order.
      session.client.query = ((...args: unknown[]) => {
        const answer = sent.then(reached).then(() => query(...args))
        sent = answer.catch(() => {})
        return answer
      }) as typeof session.client.query
      return {
        ...session,
        async requestSleepLock() {
          const taken = await session.requestSleepLock()
          await reached()
          return taken
        },
        async releaseSleepLock() {
          await session.releaseSleepLock()
          await reached()
        },
      }
    }
    const wrapInvalidationStore: WrapStore = (inner, bucket) => {
      const invalidationStore = record.wrapInvalidationStore(inner, bucket)
      return {
        ...invalidationStore,
        async time() {
          await reached()
          return invalidationStore.time()
        },
        async apply(advances) {
          await reached()
          const report = await invalidationStore.apply(advances)
          await reached()
          return report
        },
      }
    }
    const invalidator = startInvalidator({
      databaseUrl: log.url,
      catalog: BIRDS,
      prefix,
      heartbeatMs: Infinity,
      listenFirst: true,
      wrapSession,
      wrapInvalidationStore,
    })
    const { key } = entriesOf(invalidator.redis, invalidator.prefix)
    return {
      invalidator,
      applied: record.applied,
      key: (one: number) => key(bird, one),
      [Symbol.asyncDispose]: () => invalidator[Symbol.asyncDispose](),
    }
  }

  /** Returns a scheduler whose every sleep ends at once. */
  const schedulerOf = (session: WorkerSession) =>
    createPollScheduler({
      session,
      listener: { connected: true },
      wakeUp: { wait: () => Promise.resolve(true) },
      heartbeatMs: Infinity,
      stopping: new AbortController().signal,
    })

  const isAsleep = (client = log.client) => isSleepLockHeld(client)

  /**
   * Writes at one step of the invalidator and commits at a later one. The invalidator is idle
   * when no step follows.
   */
  function schedule(writer: Client, mine: number, writeAt: number, commitAt: number) {
    let step = 0
    let steppedAtMs = Infinity
    const write = once(() => writer.query(`begin; insert into bird values (${mine})`))
    const commit = once(() => writer.query('commit'))
    return {
      reached: async () => {
        step++
        steppedAtMs = performance.now()
        if (step >= writeAt) await write()
        if (step >= commitAt) await commit()
      },
      /** Performs the rest once the invalidator is idle. */
      end: async () => {
        await until(() => step >= commitAt || performance.now() - steppedAtMs > 30)
        await write()
        await commit()
      },
    }
  }

  const pairs = (steps: readonly number[]) =>
    steps.flatMap((writeAt) =>
      steps.filter((step) => step >= writeAt).map((commitAt) => [writeAt, commitAt] as const),
    )

  it('misses no commit, wherever its first steps fall between the write and the commit', async function () {
    this.timeout(60_000)
    const writer = await log.connect()
    for (const [writeAt, commitAt] of pairs([1, 9, 11, 13, 16, 19, 22, 50])) {
      const { reached, end } = schedule(writer, ++id, writeAt, commitAt)
      await using watched = startWatched(reached)
      await end()
      await until(() => watched.applied.has(watched.key(id)))
    }
    await writer.end()
  })

  it('misses no commit, wherever the write and the commit fall while it wakes up', async function () {
    this.timeout(60_000)
    const writer = await log.connect()
    let reached = async () => {}
    await using watched = startWatched(() => reached())
    for (const [writeAt, commitAt] of pairs([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14])) {
      await until(() => isAsleep())
      const scheduled = schedule(writer, ++id, writeAt, commitAt)
      reached = scheduled.reached
      await log.client.query(`insert into nest values (${1000 + id})`)
      await scheduled.end()
      await until(() => watched.applied.has(watched.key(id)))
      reached = async () => {}
    }
    await writer.end()
  })

  it('misses no commit with random delays', async function () {
    this.timeout(60_000)
    const random = fc.sample(fc.nat(4), { seed: 4, numRuns: 5_000 })
    let next = 0
    const delay = async () => {
      const ms = random[next++ % random.length] as number
      if (ms > 0) await sleep(ms)
    }
    await using watched = startWatched(delay)
    const { applied, key } = watched
    const committed: number[] = []
    const lost: number[] = []
    const writers = await Promise.all(Array.from({ length: 4 }, () => log.connect()))
    await Promise.all(
      writers.map(async (writer, index) => {
        for (let round = 0; round < 40; round++) {
          const mine = ++id
          await writer.query(`begin; insert into bird values (${mine})`)
          await delay()
          const kept = (round + index) % 5 !== 0
          await writer.query(kept ? 'commit' : 'rollback')
          ;(kept ? committed : lost).push(mine)
          // Sometimes waits until the invalidator is idle.
          if (round % 4 === 0) await until(() => isAsleep(writer))
        }
      }),
    )
    await until(() => committed.every((one) => applied.has(key(one))))
    expect(lost.filter((one) => applied.has(key(one)))).to.eql([])
    await Promise.all(writers.map((writer) => writer.end()))
  })

  it('is woken for each commit by a notification alone', async () => {
    await using watched = startWatched(async () => {})
    const { invalidator, applied, key } = watched
    for (let round = 0; round < 50; round++) {
      await until(() => isAsleep())
      await log.client.query(`insert into bird values (${++id})`)
      await until(() => applied.has(key(id)))
    }
    expect(invalidator.wakeUps).to.be.at.least(50)
  })

  it('polls while it cannot acquire the sleep lock', async () => {
    await using other = await openWorkerSession({
      url: log.url,
      applicationName: 'spms-test-other',
      statementTimeoutMs: 10_000,
    })
    await other.client.query('select pg_advisory_lock_shared(1397771603, 0)')
    await using watched = startWatched(async () => {})
    const { invalidator, applied, key } = watched
    await until(() => invalidator.working)
    for (let round = 0; round < 5; round++) {
      await log.client.query(`insert into bird values (${++id})`)
      await until(() => applied.has(key(id)))
    }
    expect(await isAsleep()).to.be.false
    await other.client.query('select pg_advisory_unlock_shared(1397771603, 0)')
    await until(() => isAsleep())
  })

  it('polls where invalidation.notify is off', async () => {
    const database = new URL(log.url).pathname.slice(1)
    await log.client.query(`alter database ${database} set invalidation.notify = 'off'`)
    await using watched = startWatched(async () => {})
    const { invalidator, applied, key } = watched
    await until(() => invalidator.working)
    const writer = await log.connect()
    for (let round = 0; round < 5; round++) {
      await writer.query(`insert into bird values (${++id})`)
      await until(() => applied.has(key(id)))
    }
    expect(await isAsleep()).to.be.false
    await writer.end()
    await log.client.query(`alter database ${database} reset invalidation.notify`)
  })

  it('releases the sleep lock when notifying commits wait for each other, even at a low commit rate', async function () {
    this.timeout(60_000)
    await using opened = await openWorker({ databaseUrl: log.url, catalog: BIRDS, prefix })
    const { session, worker } = opened
    const scheduler = schedulerOf(session)
    worker.acquire(BIRDS)
    /** Fewer commits than count as high load. */
    const commitSome = async () => {
      for (let round = 0; round < 10; round++) {
        await log.client.query(`insert into bird values (${++id})`)
        await scheduler.waitForNext(await worker.applyWindow())
      }
    }
    await worker.applyWindow()
    await scheduler.waitForNext(0)
    expect(await isAsleep()).to.be.true
    await commitSome()
    expect(await isAsleep()).to.be.true

    const writing = new AbortController()
    const writers = await Promise.all(Array.from({ length: 8 }, () => log.connect()))
    const notifying = Promise.all(
      writers.map(async (writer) => {
        while (!writing.signal.aborted) await writer.query('notify other')
      }),
    )
    await until(async () => {
      await commitSome()
      return !(await isAsleep())
    })
    writing.abort()
    await notifying
    for (const writer of writers) await writer.end()
    expect(await session.isNotifyQueued()).to.be.false
    // The scheduler remembers this for a limited time.
    await until(async () => {
      await scheduler.waitForNext(0)
      return isAsleep()
    })
  })

  it('pauses longer after a window that took long under load, so that the next one is large', async () => {
    await using opened = await openWorker({ databaseUrl: log.url, catalog: BIRDS, prefix })
    const { session } = opened
    const scheduler = schedulerOf(session)
    /** Returns the pause after a window of many events that took this time. */
    const pauseAfter = async (windowMs: number) => {
      await sleep(windowMs)
      const sinceMs = performance.now()
      await scheduler.waitForNext(1_000)
      return performance.now() - sinceMs
    }
    await scheduler.waitForNext(1_000)
    expect(await pauseAfter(10)).to.be.above(6)
    const short: number[] = []
    for (let round = 0; round < 10; round++) short.push(await pauseAfter(0))
    expect(Math.min(...short)).to.be.below(6)
  })

  it('leaves the sleep lock to the owner while it is on standby', async () => {
    await using watched = startWatched(async () => {})
    const { applied, key } = watched
    await until(() => isAsleep())
    await using standby = startInvalidator({
      databaseUrl: log.url,
      catalog: BIRDS,
      prefix,
      heartbeatMs: Infinity,
    })
    await until(() => standby.working && standby.connected)
    for (let round = 0; round < 5; round++) {
      await log.client.query(`insert into bird values (${++id})`)
      await until(() => applied.has(key(id)))
      await until(() => isAsleep())
    }
    // The standby takes over and applies changes to existing entries.
    await watched[Symbol.asyncDispose]()
    const { put, left } = entriesOf(standby.redis, standby.prefix)
    await put([key(id + 1)])
    await log.client.query(`insert into bird values (${++id})`)
    await until(async () => (await left([key(id)])).length === 0)
  })
})

function once(act: () => Promise<unknown>): () => Promise<unknown> {
  let done: Promise<unknown> | undefined
  return () => (done ??= act())
}
