import { setTimeout as sleep } from 'node:timers/promises'
import type { Listener } from '../db/event-log/listener.ts'
import { PING_EVERY_MS, type WorkerSession } from '../db/event-log/session.ts'
import { every } from './every.ts'
import type { WakeUp } from './wake-up.ts'

/** When to look again. */
export interface Pace {
  /** Waits after a window of `events` events, until there may be another. */
  rest(events: number): Promise<void>
  /** Lets the bell go. Who cannot read a window must not make every commit ring meanwhile. */
  letGo(): Promise<void>
}

export interface PaceDeps {
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
const QUEUE_EVERY_MS = 100
/** How long a queue is remembered. */
const QUEUE_MS = 1_000
/** How far back the rate looks: every commit of that long rings before a load is known as one. */
const MEMORY_S = 0.25
const POLL_FIRST_MS = 1
const POLL_MAX_MS = 20
/** Where writers do not ring at all. */
const SILENT_POLL_MS = 5

/**
 * Decides between sleeping and polling.
 *
 * Only a replica that has the right to sleep does, and only after a window that was read since it
 * has it. So a commit is either in that window, or its trigger found the sleep lock taken or
 * requested and rings: no wake-up is lost. A ring during the window is remembered by `wakeUp`, and
 * a right that ends by itself wakes the replica up.
 */
export function createPace({ session, listener, wakeUp, heartbeatMs, stopping }: PaceDeps): Pace {
  let holding = false
  let pollMs = POLL_FIRST_MS
  let recent = 0
  let measuredAtMs = performance.now()
  let queuedAtMs = -Infinity
  const lookDue = every(QUEUE_EVERY_MS)
  let wake: (() => void) | undefined
  session.onSleepLockLost(() => wake?.())

  /** Whether ringing makes writers wait. */
  async function isBusy(events: number): Promise<boolean> {
    const nowMs = performance.now()
    recent = recent * Math.exp((measuredAtMs - nowMs) / 1000 / MEMORY_S) + events
    measuredAtMs = nowMs
    const perS = recent / MEMORY_S
    if (perS > (holding ? BUSY_PER_S : CALM_PER_S)) return true
    if (holding && perS > QUEUE_PER_S && lookDue() && (await session.isNotifyQueued())) {
      queuedAtMs = nowMs
    }
    return nowMs - queuedAtMs < QUEUE_MS
  }

  return {
    async rest(events) {
      const busy = await isBusy(events)
      pollMs = events > 0 ? POLL_FIRST_MS : Math.min(POLL_MAX_MS, 2 * pollMs)
      if (!session.writersNotify) return pause(SILENT_POLL_MS)

      holding &&= session.holdsSleepLock()
      if (holding) {
        if (!busy) return slumber(listener.connected ? heartbeatMs : POLL_MAX_MS)
        await letGo()
      } else if (!busy && events === 0) {
        holding = await session.acquireSleepLock()
        // Whatever was committed before the bell was ours did not ring: read once more.
        if (holding) return undefined
      }
      return pause(pollMs)
    },
    letGo,
  }

  async function letGo(): Promise<void> {
    if (!holding) return
    await session.releaseSleepLock()
    holding = false
  }

  /** Sleeps until it rings; in its sleep it goes on saying that it is alive. */
  async function slumber(ms: number): Promise<void> {
    const awake = new AbortController()
    wake = () => awake.abort()
    stopping.addEventListener('abort', wake, { once: true })
    if (stopping.aborted || !session.holdsSleepLock()) wake()
    for (let leftMs = ms; leftMs > 0 && !awake.signal.aborted; leftMs -= PING_EVERY_MS) {
      if (leftMs < ms) await session.ping()
      if (await wakeUp.wait(Math.min(leftMs, PING_EVERY_MS), awake.signal)) break
    }
    stopping.removeEventListener('abort', wake)
  }

  async function pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: stopping }).catch(() => undefined)
  }
}
