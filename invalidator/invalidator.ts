import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'winston'
import {
  backOffMs,
  isSilence,
  type Listener,
  NoIncarnation,
  NotOneSession,
  PING_EVERY_MS,
  pruneEventLog,
  recordCursors,
  type WorkerSession,
} from '../db/event-log/index.ts'
import type { DenialLog, InvalidationStores, ResourceRules } from '../shared/cache/index.ts'
import type { ChangeFeed } from './console/change-feed.ts'
import { every } from './every.ts'
import type { InvalidatorMetrics } from './metrics.ts'
import { createOwnership } from './ownership.ts'
import { createPollScheduler } from './poll-scheduler.ts'
import { createRedisIdentity, type RedisIdentity } from './redis-identity.ts'
import type { WakeUp } from './wake-up.ts'
import { createWorker, type WorkerDeps } from './worker.ts'

export interface InvalidatorDeps {
  readonly openSession: () => Promise<WorkerSession>
  readonly listener: Pick<Listener, 'connected'>
  readonly wakeUp: WakeUp
  readonly stores: InvalidationStores
  readonly catalog: readonly ResourceRules[]
  readonly prefix: string
  /** Reads the identity of the Redis. Each Redis has its own owners of resources. */
  readonly readIdentity: () => Promise<string>
  /** Longest sleep without a notification. */
  readonly heartbeatMs: number
  readonly metrics: InvalidatorMetrics
  readonly logger: Logger
  /** Receives every error; by default none. */
  readonly logDenial?: DenialLog
  /** Called at each change of whether windows are being applied. */
  readonly onState?: (working: boolean) => void
  /** Receives the applied changes. */
  readonly feed?: ChangeFeed | undefined
}

const BALANCE_EVERY_MS = 1_000
/** Pause between attempts to read the identity of Redis after a start. */
const IDENTITY_RETRY_MS = 10
const CURSOR_INTERVAL_MS = 10_000
const PRUNE_INTERVAL_MS = 15_000
/**
 * Pause that keeps two workers from spinning if both assume that they own a resource in one Redis.
 */
const REPEAT_MS = 1
const BACKOFF_FIRST_MS = 20
const BACKOFF_MAX_MS = 1_000

/** Applies windows until asked to stop. Postgres or Redis may fail and recover meanwhile. */
export async function runInvalidator(deps: InvalidatorDeps, stopping: AbortSignal): Promise<void> {
  const retryState = createRetryState(deps, stopping)
  // Kept across sessions: after a restart of Postgres, watermarks of this process are not foreign.
  const written = new Map<string, string>()
  const identity = createRedisIdentity(deps.readIdentity)
  const clearOwned = () => {
    for (const { name } of deps.catalog) deps.metrics.owned.labels(name).set(0)
  }
  clearOwned()
  while (!stopping.aborted) {
    try {
      identity.refresh()
      await using session = await deps.openSession()
      const untilLost = AbortSignal.any([stopping, session.lost])
      await work({ ...deps, written, identity }, session, retryState, untilLost).finally(clearOwned)
      if (session.lost.aborted && !stopping.aborted)
        await retryState.fail(new Error('connection lost'))
    } catch (error) {
      await retryState.fail(error)
    }
  }
}

async function work(
  deps: InvalidatorDeps & Pick<WorkerDeps, 'written'> & { readonly identity: RedisIdentity },
  session: WorkerSession,
  retryState: RetryState,
  stopping: AbortSignal,
): Promise<void> {
  const { identity } = deps
  let target = identity.current
  let ownership = target === null ? null : createOwnership(session, deps.catalog, target)
  const worker = createWorker({ ...deps, session, onPassEnd: () => deps.wakeUp.notify() })
  const scheduler = createPollScheduler({ ...deps, session, stopping })
  const cursorDue = every(CURSOR_INTERVAL_MS)
  const pruneDue = every(PRUNE_INTERVAL_MS)
  const balanceDue = every(BALANCE_EVERY_MS)
  const pingDue = every(PING_EVERY_MS)
  let isBalanced = false

  while (!stopping.aborted) {
    try {
      // Pings and prunes also while Redis is unavailable and no window is read, or the log would
      // grow.
      if (pingDue()) await session.ping()
      if (pruneDue()) await pruneAndLog(deps, session)
      identity.refresh()
      if (ownership === null || target === null) {
        target = identity.current
        if (target === null) {
          if (identity.failure !== null) throw identity.failure
          await pause(IDENTITY_RETRY_MS, stopping)
          continue
        }
        ownership = createOwnership(session, deps.catalog, target)
      }
      if (identity.current !== target) throw new AnotherRedis('Redis has another identity')
      if (balanceDue() || !isBalanced) {
        // A balance that failed halfway may have released a lock. The next one reports it, so it
        // runs first.
        isBalanced = false
        const { taken, given } = await ownership.balance()
        isBalanced = true
        worker.acquire(taken)
        worker.release(given)
        for (const { name } of taken) deps.metrics.owned.labels(name).set(1)
        for (const { name } of given) deps.metrics.owned.labels(name).set(0)
        for (const [message, resources] of [
          ['acquired resources', taken],
          ['released resources', given],
        ] as const) {
          if (resources.length === 0) continue
          deps.logger.info(message, { resources: resources.map(({ name }) => name) })
        }
      }
      if (ownership.isEmpty) {
        // A standby reads no window, so no commit needs to notify it.
        await scheduler.releaseSleepLock()
        retryState.recover()
        await pause(BALANCE_EVERY_MS, stopping)
        continue
      }
      const events = await worker.applyWindow()
      retryState.recover()
      if (cursorDue()) await recordCursors(session.client, target, worker.cursors)
      if (worker.mustRepeat) await pause(REPEAT_MS, stopping)
      else await scheduler.waitForNext(events)
    } catch (error) {
      if (session.lost.aborted || isSilence(error) || NEEDS_SESSION.some((T) => error instanceof T))
        throw error
      // The window is not lost: it starts again at the stored watermark.
      worker.rereadWatermarks()
      await scheduler.releaseSleepLock()
      await retryState.fail(error)
    }
  }
}

/**
 * Thrown if the locks belong to another Redis: the address leads to another one, or it was emptied.
 */
class AnotherRedis extends Error {
  override readonly name = 'AnotherRedis'
}

/** Errors that only a new session resolves. */
const NEEDS_SESSION = [NoIncarnation, NotOneSession, AnotherRedis]

async function pruneAndLog({ logger }: InvalidatorDeps, { client }: WorkerSession): Promise<void> {
  if ((await pruneEventLog(client)) === 'emptied') logger.info('pruned a segment of the event log')
}

interface RetryState {
  fail(error: unknown): Promise<void>
  recover(): void
}

/** Logs the first failure and the recovery, and waits longer after every failure. */
function createRetryState(
  { logger, logDenial, onState }: InvalidatorDeps,
  stopping: AbortSignal,
): RetryState {
  let failures = 0
  let working: boolean | undefined
  return {
    async fail(error) {
      if (stopping.aborted) return
      logDenial?.(error)
      if (working !== false) logger.warn('not invalidating, will retry', { error })
      if (working !== false) onState?.((working = false))
      await pause(backOffMs(++failures, BACKOFF_FIRST_MS, BACKOFF_MAX_MS), stopping)
    },
    recover() {
      failures = 0
      if (working === true) return
      logger.info('invalidating')
      onState?.((working = true))
    },
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined)
}
