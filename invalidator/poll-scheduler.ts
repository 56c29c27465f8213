import { setTimeout as sleep } from 'node:timers/promises'
import { type Listener, PING_EVERY_MS, type WorkerSession } from '../db/event-log/index.ts'
import { every } from './every.ts'
import type { WakeUp } from './wake-up.ts'

/** Decides when the next window is read. */
export interface PollScheduler {
  /** Waits after a window of `events` events until the next one is due. */
  waitForNext(events: number): Promise<void>
  /**
   * Releases the sleep lock. A worker that cannot read windows must not make every commit notify it.
   */
  releaseSleepLock(): Promise<void>
}

export interface PollSchedulerDeps {
  readonly session: WorkerSession
  readonly listener: Pick<Listener, 'connected'>
  readonly wakeUp: Pick<WakeUp, 'wait'>
  /** Longest sleep. An idle owner must continue to publish how fresh the cache is. */
  readonly heartbeatMs: number
  readonly stopping: AbortSignal
}

/** Above this rate of events writers do not notify, because every poll finds events. */
const BUSY_PER_S = 500
/**
 * Below this rate the worker sleeps again. It is lower, so that a short pause does not make writers
 * notify.
 */
const CALM_PER_S = 250
/**
 * Above this rate the worker checks at an interval whether notifying commits wait for each other. On a
 * slow disk such a queue keeps the rate below `BUSY_PER_S`, which the writers would exceed without it.
 */
const QUEUE_PER_S = 20
const QUEUE_CHECK_INTERVAL_MS = 100
/** Time for which a detected queue counts. */
const QUEUE_TTL_MS = 1_000
/** Window of the measured rate: commits of this period notify before the load is detected. */
const RATE_WINDOW_S = 0.25
const POLL_FIRST_MS = 1
const POLL_MAX_MS = 20
/**
 * Pause under load, as a multiple of the time that the last window took, and its maximum. Most of that
 * time does not depend on the number of events. So few large windows leave more of the processor to the
 * writers, and events wait a few milliseconds longer.
 */
const BUSY_PAUSE = 2
const BUSY_PAUSE_MAX_MS = 8
/** Polling interval if writers do not notify at all. */
const NO_NOTIFY_POLL_MS = 5

/**
 * Decides between sleeping and polling.
 *
 * A replica sleeps only while it holds the sleep lock or waits in its queue, and only after a window that
 * was read since then. So a commit either is in that window, or its trigger found the lock taken or requested
 * and notifies: no wake-up is lost. `wakeUp` remembers a notification that arrives during the window.
 * A replica that loses the lock or its place in the queue wakes up.
 */
export function createPollScheduler({
  session,
  listener,
  wakeUp,
  heartbeatMs,
  stopping,
}: PollSchedulerDeps): PollScheduler {
  let isRequested = false
  let pollMs = POLL_FIRST_MS
  let recent = 0
  let measuredAtMs = performance.now()
  let queuedAtMs = -Infinity
  /** End of the last wait: the work since then is one window. */
  let resumedAtMs = performance.now()
  const queueCheckDue = every(QUEUE_CHECK_INTERVAL_MS)
  let wake: (() => void) | undefined
  session.onSleepLockLost(() => wake?.())

  /** Returns whether notifications would delay writers. */
  async function isBusy(events: number): Promise<boolean> {
    const nowMs = performance.now()
    recent = recent * Math.exp((measuredAtMs - nowMs) / 1000 / RATE_WINDOW_S) + events
    measuredAtMs = nowMs
    const perS = recent / RATE_WINDOW_S
    if (perS > (isRequested ? BUSY_PER_S : CALM_PER_S)) return true
    if (isRequested && perS > QUEUE_PER_S && queueCheckDue() && (await session.isNotifyQueued())) {
      queuedAtMs = nowMs
    }
    return nowMs - queuedAtMs < QUEUE_TTL_MS
  }

  return {
    async waitForNext(events) {
      await wait(events, performance.now() - resumedAtMs)
      resumedAtMs = performance.now()
    },
    releaseSleepLock,
  }

  async function wait(events: number, windowMs: number): Promise<void> {
    const busy = await isBusy(events)
    pollMs = events > 0 ? POLL_FIRST_MS : Math.min(POLL_MAX_MS, 2 * pollMs)
    if (!session.writersNotify) return pause(NO_NOTIFY_POLL_MS)

    isRequested &&= session.hasSleepLockRequest()
    if (isRequested) {
      if (!busy) return waitForWakeUp(listener.connected ? heartbeatMs : POLL_MAX_MS)
      await releaseSleepLock()
    } else if (!busy && events === 0) {
      isRequested = await session.requestSleepLock()
      // Commits before the lock was taken did not notify: read one more window.
      if (isRequested) return
    }
    const busyMs = busy && events > 0 ? Math.min(BUSY_PAUSE * windowMs, BUSY_PAUSE_MAX_MS) : 0
    return pause(Math.max(pollMs, busyMs))
  }

  async function releaseSleepLock(): Promise<void> {
    if (!isRequested) return
    await session.releaseSleepLock()
    isRequested = false
  }

  /** Sleeps until a notification, and pings the session meanwhile. */
  async function waitForWakeUp(ms: number): Promise<void> {
    const wakeUpSignal = new AbortController()
    wake = () => wakeUpSignal.abort()
    stopping.addEventListener('abort', wake, { once: true })
    if (stopping.aborted || !session.hasSleepLockRequest()) wake()
    for (let leftMs = ms; leftMs > 0 && !wakeUpSignal.signal.aborted; leftMs -= PING_EVERY_MS) {
      if (leftMs < ms) await session.ping()
      if (await wakeUp.wait(Math.min(leftMs, PING_EVERY_MS), wakeUpSignal.signal)) break
    }
    stopping.removeEventListener('abort', wake)
  }

  async function pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: stopping }).catch(() => undefined)
  }
}
