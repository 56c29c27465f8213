import { setTimeout as sleep } from 'node:timers/promises'
import type { Listener } from '../db/event-log/listener.ts'
import { PING_EVERY_MS, type WorkerSession } from '../db/event-log/session.ts'
import { every } from './every.ts'
import type { WakeUp } from './wake-up.ts'

/** When to look again. */
export interface PollScheduler {
  /** Waits after a window of `events` events, until there may be another. */
  waitForNext(events: number): Promise<void>
  /** Lets the bell go. Who cannot read a window must not make every commit ring meanwhile. */
  releaseSleepLock(): Promise<void>
}

export interface PollSchedulerDeps {
  readonly session: WorkerSession
  readonly listener: Pick<Listener, 'connected'>
  readonly wakeUp: Pick<WakeUp, 'wait'>
  /** How long to sleep at most. Idle owners must go on publishing how fresh they are. */
  readonly heartbeatMs: number
  readonly stopping: AbortSignal
}

/** Above this many events a second writers are not made to ring: polling finds something every time. */
const BUSY_PER_S = 500
/** Below this it sleeps again; apart, so that a pause of the writers does not make them ring. */
const CALM_PER_S = 250
/**
 * At this rate it looks, so often, whether commits that ring wait for each other. On a slow disk a
 * queue of them never reaches the rate above, which they would reach together.
 */
const QUEUE_PER_S = 20
const QUEUE_CHECK_INTERVAL_MS = 100
/** How long a queue is remembered. */
const QUEUE_TTL_MS = 1_000
/** How far back the rate looks: every commit of that long rings before a load is known as one. */
const RATE_WINDOW_S = 0.25
const POLL_FIRST_MS = 1
const POLL_MAX_MS = 20
/** Where writers do not ring at all. */
const NO_NOTIFY_POLL_MS = 5

/**
 * Decides between sleeping and polling.
 *
 * Only a replica that has the right to sleep does, and only after a window that was read since it
 * has it. So a commit is either in that window, or its trigger found the sleep lock taken or
 * requested and rings: no wake-up is lost. A ring during the window is remembered by `wakeUp`, and
 * a right that ends by itself wakes the replica up.
 */
export function createPollScheduler({
  session,
  listener,
  wakeUp,
  heartbeatMs,
  stopping,
}: PollSchedulerDeps): PollScheduler {
  let holdsLock = false
  let pollMs = POLL_FIRST_MS
  let recent = 0
  let measuredAtMs = performance.now()
  let queuedAtMs = -Infinity
  const queueCheckDue = every(QUEUE_CHECK_INTERVAL_MS)
  let wake: (() => void) | undefined
  session.onSleepLockLost(() => wake?.())

  /** Whether ringing makes writers wait. */
  async function isBusy(events: number): Promise<boolean> {
    const nowMs = performance.now()
    recent = recent * Math.exp((measuredAtMs - nowMs) / 1000 / RATE_WINDOW_S) + events
    measuredAtMs = nowMs
    const perS = recent / RATE_WINDOW_S
    if (perS > (holdsLock ? BUSY_PER_S : CALM_PER_S)) return true
    if (holdsLock && perS > QUEUE_PER_S && queueCheckDue() && (await session.isNotifyQueued())) {
      queuedAtMs = nowMs
    }
    return nowMs - queuedAtMs < QUEUE_TTL_MS
  }

  return {
    async waitForNext(events) {
      const busy = await isBusy(events)
      pollMs = events > 0 ? POLL_FIRST_MS : Math.min(POLL_MAX_MS, 2 * pollMs)
      if (!session.writersNotify) return pause(NO_NOTIFY_POLL_MS)

      holdsLock &&= session.holdsSleepLock()
      if (holdsLock) {
        if (!busy) return waitForWakeUp(listener.connected ? heartbeatMs : POLL_MAX_MS)
        await releaseSleepLock()
      } else if (!busy && events === 0) {
        holdsLock = await session.acquireSleepLock()
        // Whatever was committed before the bell was ours did not ring: read once more.
        if (holdsLock) return undefined
      }
      return pause(pollMs)
    },
    releaseSleepLock,
  }

  async function releaseSleepLock(): Promise<void> {
    if (!holdsLock) return
    await session.releaseSleepLock()
    holdsLock = false
  }

  /** Sleeps until it rings; in its sleep it goes on saying that it is alive. */
  async function waitForWakeUp(ms: number): Promise<void> {
    const wakeUpSignal = new AbortController()
    wake = () => wakeUpSignal.abort()
    stopping.addEventListener('abort', wake, { once: true })
    if (stopping.aborted || !session.holdsSleepLock()) wake()
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
