import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'winston'
import { keepHouse, noteCursors } from '../db/event-log/housekeeping.ts'
import type { Listener } from '../db/event-log/listener.ts'
import { isSilence, PING_EVERY_MS, type WorkerSession } from '../db/event-log/session.ts'
import { NoLife } from '../db/event-log/window.ts'
import type { Ledger } from '../shared/cache/ledger.ts'
import type { ResourceRules } from '../shared/cache/resource.ts'
import { every } from './every.ts'
import type { InvalidatorMetrics } from './metrics.ts'
import { createOwnership } from './ownership.ts'
import { createPace } from './pace.ts'
import type { WakeUp } from './wake-up.ts'
import { createWorker, type WorkerDeps, type Written } from './worker.ts'

export interface InvalidatorDeps {
  readonly openSession: () => Promise<WorkerSession>
  readonly listener: Pick<Listener, 'hearing'>
  readonly wakeUp: WakeUp
  readonly ledger: Ledger
  readonly catalog: readonly ResourceRules[]
  readonly prefix: string
  /** Names the Redis among those that this database invalidates for. */
  readonly target: string
  /** How long to sleep at most without a ring. */
  readonly heartbeatMs: number
  readonly metrics: InvalidatorMetrics
  readonly logger: Logger
  /** Told of each change: whether windows are being applied. */
  readonly onState?: (working: boolean) => void
}

const BALANCE_EVERY_MS = 1_000
const CURSOR_EVERY_MS = 10_000
const HOUSE_EVERY_MS = 15_000
/** Two who take themselves for the owner of one Redis must not spin. */
const REPEAT_MS = 1
const BACKOFF_FIRST_MS = 20
const BACKOFF_MAX_MS = 1_000

/** Applies windows until asked to stop. Postgres or Redis may go away and come back meanwhile. */
export async function runInvalidator(deps: InvalidatorDeps, stopping: AbortSignal): Promise<void> {
  const trouble = createTrouble(deps, stopping)
  // After a restart of Postgres what we left in Redis need not be watched for signs of another life.
  const written = new Map<string, Written>()
  const disown = () => {
    for (const { name } of deps.catalog) deps.metrics.owned.labels(name).set(0)
  }
  disown()
  while (!stopping.aborted) {
    try {
      await using session = await deps.openSession()
      const untilLost = AbortSignal.any([stopping, session.lost])
      await work({ ...deps, written }, session, trouble, untilLost).finally(disown)
      if (session.lost.aborted && !stopping.aborted)
        await trouble.meet(new Error('connection lost'))
    } catch (error) {
      await trouble.meet(error)
    }
  }
}

async function work(
  deps: InvalidatorDeps & Pick<WorkerDeps, 'written'>,
  session: WorkerSession,
  trouble: Trouble,
  stopping: AbortSignal,
): Promise<void> {
  const ownership = createOwnership(session, deps.catalog, deps.target)
  const worker = createWorker({ ...deps, session, onPassEnd: () => deps.wakeUp.ring() })
  const pace = createPace({ ...deps, session, stopping })
  const cursorDue = every(CURSOR_EVERY_MS)
  const houseDue = every(HOUSE_EVERY_MS)
  const balanceDue = every(BALANCE_EVERY_MS)
  const pingDue = every(PING_EVERY_MS)
  let isBalanced = false

  while (!stopping.aborted) {
    try {
      // Also while Redis is away, when no window is read: the log must not grow meanwhile.
      if (pingDue()) await session.ping()
      if (houseDue()) await keepHouseAndTell(deps, session)
      if (balanceDue() || !isBalanced) {
        // One that failed halfway may have released a lock: the next tells what, so it comes first.
        isBalanced = false
        const { taken, given } = await ownership.balance()
        isBalanced = true
        worker.adopt(taken)
        worker.abandon(given)
        for (const { name } of taken) deps.metrics.owned.labels(name).set(1)
        for (const { name } of given) deps.metrics.owned.labels(name).set(0)
        for (const [message, resources] of [
          ['resources taken', taken],
          ['resources given up', given],
        ] as const) {
          if (resources.length === 0) continue
          deps.logger.info(message, { resources: resources.map(({ name }) => name) })
        }
      }
      if (ownership.isEmpty) {
        // Standing by. Whoever works needs the bell, and lets it go under load.
        trouble.over()
        await pause(BALANCE_EVERY_MS, stopping)
        continue
      }
      const events = await worker.applyWindow()
      trouble.over()
      if (cursorDue()) await noteCursors(session.client, deps.target, worker.cursors)
      if (worker.mustRepeat) await pause(REPEAT_MS, stopping)
      else await pace.rest(events)
    } catch (error) {
      if (session.lost.aborted || isSilence(error) || error instanceof NoLife) throw error
      // The window is kept: it begins again where the stored watermark stands.
      worker.doubt()
      await pace.letGo()
      await trouble.meet(error)
    }
  }
}

async function keepHouseAndTell(
  { logger }: InvalidatorDeps,
  { client }: WorkerSession,
): Promise<void> {
  if ((await keepHouse(client)) === 'emptied') logger.info('a segment of the event log was emptied')
}

interface Trouble {
  meet(error: unknown): Promise<void>
  over(): void
}

/** Says once that something is wrong, waits longer after every failure, and says once that it is over. */
function createTrouble({ logger, onState }: InvalidatorDeps, stopping: AbortSignal): Trouble {
  let delayMs = BACKOFF_FIRST_MS
  let working: boolean | undefined
  return {
    async meet(error) {
      if (stopping.aborted) return
      if (working !== false) logger.warn('not invalidating, will retry', { error })
      if (working !== false) onState?.((working = false))
      const jitteredMs = delayMs * (0.5 + Math.random() / 2)
      delayMs = Math.min(2 * delayMs, BACKOFF_MAX_MS)
      await pause(jitteredMs, stopping)
    },
    over() {
      delayMs = BACKOFF_FIRST_MS
      if (working === true) return
      logger.info('invalidating')
      onState?.((working = true))
    },
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined)
}
