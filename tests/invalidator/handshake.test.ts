import { setImmediate as immediate } from 'node:timers/promises'
import { expect } from 'chai'
import type { Client } from 'pg'
import { NOTIFY_CHANNEL } from '../../db/event-log/event.ts'
import type { WorkerSession } from '../../db/event-log/session.ts'
import { createPollScheduler, type PollScheduler } from '../../invalidator/poll-scheduler.ts'
import { WakeUp } from '../../invalidator/wake-up.ts'
import type { EventLog } from '../event-log/event-log.ts'
import { openWorker, recordKeys } from '../support/invalidator.ts'
import { until } from '../support/until.ts'
import { bird, BIRDS, entriesOf, openBirds } from './birds.ts'

/** Far longer than a test takes: no poll finds what the bell should have told. */
const HEARTBEAT_MS = 600_000

/** When somebody commits. */
type Moment = 'it sleeps' | 'it is about to acquire the sleep lock' | 'it reads with the sleep lock'

/** What the sleeper is made of. */
interface Parts {
  readonly wrapSession?: (session: WorkerSession) => WorkerSession
  /** Told whether the bell was just taken. */
  readonly wrapPace?: (scheduler: PollScheduler, isTaken: () => boolean) => PollScheduler
  readonly wakeUp?: WakeUp
}

/** Hears a ring only while somebody waits for it. */
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

// Each part of the handshake in turn always agrees; a commit then goes unheard.
describe('a commit waits until something else wakes the sleeper', () => {
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
      part: 'the worker slept without acquiring the sleep lock',
      moment: 'it sleeps',
      wrapSession: (session) => ({
        ...session,
        acquireSleepLock: () => Promise.resolve(true),
        holdsSleepLock: () => true,
        releaseSleepLock: () => Promise.resolve(),
      }),
    },
    {
      part: 'the trigger thought that nobody sleeps',
      moment: 'it sleeps',
      damage: () =>
        log.client.query(
          `do $$
           declare body text;
           begin
             for body in
               select replace(pg_get_functiondef(oid),
                              'if not pg_try_advisory_xact_lock_shared(1397771603, 0)', 'if false')
               from pg_proc
               where pronamespace = 'invalidation'::regnamespace and proname like 'log\\_insert\\_%'
             loop execute body; end loop;
           end $$`,
        ),
    },
    {
      part: 'the worker did not read once more when it has the sleep lock',
      moment: 'it is about to acquire the sleep lock',
      wrapPace: (scheduler, isTaken) => ({
        ...scheduler,
        async waitForNext(events) {
          await scheduler.waitForNext(events)
          if (isTaken()) await scheduler.waitForNext(0)
        },
      }),
    },
    {
      part: 'a ring during the last reading was forgotten',
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

  /** Commits at a moment; answers whether that is applied when the worker sleeps again. */
  async function isReceived(
    moment: Moment,
    { wrapSession = (it) => it, wrapPace = (it) => it, wakeUp = new WakeUp() }: Parts,
  ): Promise<boolean> {
    const { wrapInvalidationStore, applied } = recordKeys()
    let holding = false
    let waitingSinceMs = Infinity
    // A wait that only hears of a ring before it ends at once.
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
          async acquireSleepLock() {
            await at('it is about to acquire the sleep lock')
            return (holding = await wrapped.acquireSleepLock())
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
        await subscriber.hasHeardEverything()
      })())

    const stopping = new AbortController()
    let wasHolding = false
    const scheduler = wrapPace(
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
    await at('it sleeps')
    await until(isAsleep)
    const isApplied = applied.has(key)
    // Late, but not lost: the next ring finds it.
    await log.client.query(`notify ${NOTIFY_CHANNEL}`)
    await until(() => applied.has(key))
    stopping.abort()
    await working
    return isApplied
  }

  /** Rings for a worker. */
  async function listen(client: Client, wakeUp: WakeUp) {
    let asked: (() => void) | undefined
    client.on('notification', ({ payload }) => (payload === 'asked' ? asked?.() : wakeUp.notify()))
    await client.query(`listen ${NOTIFY_CHANNEL}`)
    return {
      /** What rings is heard in the order of commits. */
      async hasHeardEverything(): Promise<void> {
        const received = new Promise<void>((resolve) => (asked = resolve))
        await log.client.query(`notify ${NOTIFY_CHANNEL}, 'asked'`)
        await received
        // Whoever was woken goes on first.
        await immediate()
      },
    }
  }
})
