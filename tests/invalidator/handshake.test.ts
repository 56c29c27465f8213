import { setImmediate as immediate } from 'node:timers/promises'
import { expect } from 'chai'
import type { Client } from 'pg'
import { NOTIFY_CHANNEL } from '../../db/event-log/reading/event.ts'
import type { WorkerSession } from '../../db/event-log/index.ts'
import { createPollScheduler, type PollScheduler } from '../../invalidator/poll-scheduler.ts'
import { WakeUp } from '../../invalidator/wake-up.ts'
import type { EventLog } from '../event-log/event-log.ts'
import { openWorker, recordKeys } from '../support/invalidator.ts'
import { until } from '../support/until.ts'
import { bird, BIRDS, entriesOf, openBirds } from './birds.ts'

/** Far longer than a test takes, so that only a wake-up makes the worker read. */
const HEARTBEAT_MS = 600_000

/** When the writer commits. */
type Moment =
  'it is idle' | 'it is about to acquire the sleep lock' | 'it reads with the sleep lock'

/** Replaceable parts of the worker. */
interface Parts {
  readonly wrapSession?: (session: WorkerSession) => WorkerSession
  /** `isTaken` returns whether the sleep lock was just acquired. */
  readonly wrapScheduler?: (scheduler: PollScheduler, isTaken: () => boolean) => PollScheduler
  readonly wakeUp?: WakeUp
}

/** Loses a notification that arrives while no wait is in progress. */
class WakeUpWithoutMemory extends WakeUp {
  #waiting = false

  override notify(): void {
    if (this.#waiting) super.notify()
  }

  override async wait(atMostMs: number, signal: AbortSignal): Promise<boolean> {
    this.#waiting = true
    try {
      return await super.wait(atMostMs, signal)
    } finally {
      this.#waiting = false
    }
  }
}

// For every part of the handshake: with the part disabled, a commit is not noticed.
describe('a commit is applied only after another wake-up', () => {
  let log: EventLog
  let id = 0

  beforeEach(async () => {
    log = await openBirds()
  })
  afterEach(() => log[Symbol.asyncDispose]())

  const parts: readonly (Parts & {
    readonly part: string
    readonly moment: Moment
    readonly damage?: () => Promise<unknown>
  })[] = [
    {
      part: 'the worker became idle without the sleep lock',
      moment: 'it is idle',
      wrapSession: (session) => ({
        ...session,
        requestSleepLock: () => Promise.resolve(true),
        hasSleepLockRequest: () => true,
        releaseSleepLock: () => Promise.resolve(),
      }),
    },
    {
      part: 'the trigger ignored the sleep lock',
      moment: 'it is idle',
      damage: () =>
        log.client.query(
          `do $$
           declare body text;
           begin
             for body in
               select replace(pg_get_functiondef(oid),
                              'if not pg_catalog.pg_try_advisory_xact_lock_shared(1397771603, 0)', 'if false')
               from pg_proc
               where pronamespace = 'invalidation'::regnamespace and proname like 'log\\_insert\\_%'
             loop execute body; end loop;
           end $$`,
        ),
    },
    {
      part: 'the worker did not read again after it acquired the sleep lock',
      moment: 'it is about to acquire the sleep lock',
      wrapScheduler: (scheduler, isTaken) => ({
        ...scheduler,
        async waitForNext(events) {
          await scheduler.waitForNext(events)
          if (isTaken()) await scheduler.waitForNext(0)
        },
      }),
    },
    {
      part: 'a wake-up during the last read was lost',
      moment: 'it reads with the sleep lock',
      wakeUp: new WakeUpWithoutMemory(),
    },
  ]
  for (const { part, moment, damage, ...replaced } of parts) {
    it(`if ${part}, and only then`, async () => {
      expect(await isReceived(moment, {})).to.equal(true)
      await damage?.()
      expect(await isReceived(moment, replaced)).to.equal(false)
    })
  }

  /**
   * Commits at a given moment; returns whether the commit is applied once the worker is idle
   * again.
   */
  async function isReceived(
    moment: Moment,
    { wrapSession = (it) => it, wrapScheduler = (it) => it, wakeUp = new WakeUp() }: Parts,
  ): Promise<boolean> {
    const { wrapInvalidationStore, applied } = recordKeys()
    let holding = false
    let waitingSinceMs = Infinity
    // A wait that only consumes an earlier notification ends at once.
    const isAsleep = () => performance.now() - waitingSinceMs > 20
    const at = (now: Moment) => (now === moment ? commit() : undefined)
    await using opened = await openWorker({
      databaseUrl: log.url,
      catalog: BIRDS,
      inspectEveryMs: HEARTBEAT_MS,
      wrapInvalidationStore,
      wrapSession(session) {
        const wrapped = wrapSession(session)
        const query = session.client.query.bind(session.client) as (
          ...args: unknown[]
        ) => Promise<unknown>
        session.client.query = (async (...args: unknown[]) => {
          if (args[0] === 'commit' && holding) await at('it reads with the sleep lock')
          return query(...args)
        }) as typeof session.client.query
        return {
          ...wrapped,
          async requestSleepLock() {
            await at('it is about to acquire the sleep lock')
            return (holding = await wrapped.requestSleepLock())
          },
        }
      },
    })
    const { worker, session, redis, prefix } = opened
    const key = entriesOf(redis, prefix).key(bird, ++id)
    const subscriber = await listen(await log.connect(), wakeUp)
    let committed: Promise<void> | undefined
    const commit = () =>
      (committed ??= (async () => {
        await log.client.query(`insert into bird values (${id})`)
        await subscriber.receivedAll()
      })())

    const stopping = new AbortController()
    let wasHolding = false
    const scheduler = wrapScheduler(
      createPollScheduler({
        session,
        listener: { connected: true },
        wakeUp: {
          async wait(...args) {
            waitingSinceMs = performance.now()
            return wakeUp.wait(...args).finally(() => (waitingSinceMs = Infinity))
          },
        },
        heartbeatMs: HEARTBEAT_MS,
        stopping: stopping.signal,
      }),
      () => holding && !wasHolding,
    )
    worker.acquire(BIRDS)
    const working = (async () => {
      while (!stopping.signal.aborted) {
        wasHolding = holding
        await scheduler.waitForNext(await worker.applyWindow())
      }
    })()

    await until(isAsleep)
    await at('it is idle')
    await until(isAsleep)
    const isApplied = applied.has(key)
    // The commit is late, but not lost: the next wake-up leads to it.
    await log.client.query(`notify ${NOTIFY_CHANNEL}`)
    await until(() => applied.has(key))
    stopping.abort()
    await working
    return isApplied
  }

  /** Notifies the wake-up of a worker. */
  async function listen(client: Client, wakeUp: WakeUp) {
    let onProbe: (() => void) | undefined
    client.on('notification', ({ payload }) =>
      payload === 'probe' ? onProbe?.() : wakeUp.notify(),
    )
    await client.query(`listen ${NOTIFY_CHANNEL}`)
    return {
      /** Notifications arrive in commit order, so all earlier ones have been received. */
      async receivedAll(): Promise<void> {
        const received = new Promise<void>((resolve) => (onProbe = resolve))
        await log.client.query(`notify ${NOTIFY_CHANNEL}, 'probe'`)
        await received
        // Lets a woken worker continue first.
        await immediate()
      },
    }
  }
})
