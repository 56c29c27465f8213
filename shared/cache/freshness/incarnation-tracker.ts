import { setTimeout as sleep } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import {
  backOffMs,
  beginIncarnation,
  errorCode,
  findIncarnation,
} from '../../../db/event-log/index.ts'
import { bareUuid } from '../entry-store/cached-value.ts'

/**
 * Incarnation of the database that this process' own connections see. A watermark may name another one:
 * that of a replaced primary which, like its invalidator, has not detected the replacement.
 */
export class IncarnationTracker {
  #incarnation: string | null | undefined
  #observedAtMs = -Infinity

  /** As 32 hexadecimal digits; `null` if none has begun, `undefined` before the first observation. */
  get incarnation(): string | null | undefined {
    return this.#incarnation
  }

  get observedAtMs(): number {
    return this.#observedAtMs
  }

  /** Records what a query saw, and `performance.now()` at its start. Ignores an older observation. */
  observe(incarnation: string | null, observedAtMs: number): void {
    if (observedAtMs < this.#observedAtMs) return
    this.#observedAtMs = observedAtMs
    this.#incarnation = incarnation === null ? null : bareUuid(incarnation)
  }
}

const REFRESH_INTERVAL_MS = 1_000
const BEGIN_BACKOFF_MAX_MS = 60_000

/**
 * Reads the incarnation every second unless loads report it: a process that answers from Redis alone
 * has no loads. If the database has none, as after a restart without an invalidator, it begins one,
 * because without an incarnation no value can be stored. Reports a permanent error once until it is repaired.
 */
export async function trackIncarnation<DB>(
  db: Kysely<DB>,
  tracker: IncarnationTracker,
  stopping: AbortSignal,
  onError: (error: unknown) => void = () => {},
): Promise<void> {
  let isReported = false
  let failures = 0
  let beginAtMs = 0

  async function refresh(): Promise<void> {
    const startedAtMs = performance.now()
    try {
      tracker.observe(await findIncarnation(db), startedAtMs)
      if (tracker.incarnation !== null) isReported = false
    } catch (error) {
      // While Postgres is unavailable, the last observation stays valid.
      if (isPermanent(error)) report(error)
    }
  }

  async function begin(): Promise<void> {
    try {
      await beginIncarnation(db)
      isReported = false
      failures = 0
      await refresh()
    } catch (error) {
      if (isPermanent(error)) report(error)
      const pauseMs = backOffMs(++failures, 2 * REFRESH_INTERVAL_MS, BEGIN_BACKOFF_MAX_MS)
      beginAtMs = performance.now() + pauseMs
    }
  }

  function report(error: unknown): void {
    if (!isReported) onError(error)
    isReported = true
  }

  while (!stopping.aborted) {
    if (performance.now() - tracker.observedAtMs >= REFRESH_INTERVAL_MS) await refresh()
    if (tracker.incarnation === null && performance.now() >= beginAtMs) await begin()
    await sleep(REFRESH_INTERVAL_MS, undefined, { signal: stopping, ref: false }).catch(() => {})
  }
}

/** A permission, the schema or an object is missing, or the connection is read-only. */
const PERMANENT_STATES = new Set(['42501', '42P01', '42883', '3F000', '25006'])

const isPermanent = (error: unknown): boolean => PERMANENT_STATES.has(errorCode(error) ?? '')
