import { setTimeout as sleep } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import { beginIncarnation, findIncarnation } from '../../db/queries/incarnation.ts'
import type { Database } from '../../db/schema.ts'
import { bareUuid } from './cached-value.ts'

/**
 * Which life of the database this process' own connections see. A watermark may speak of another:
 * of a primary that was replaced and has not heard of it, and whose invalidator has not either.
 */
export class IncarnationTracker {
  #incarnation: string | null | undefined
  #observedAtMs = -Infinity

  /** As frames have it; `null` when nobody has begun this life, `undefined` before anybody looked. */
  get incarnation(): string | null | undefined {
    return this.#incarnation
  }

  get observedAtMs(): number {
    return this.#observedAtMs
  }

  /** Takes what a query saw, and `performance.now()` when it began; an older one is no news. */
  observe(incarnation: string | null, observedAtMs: number): void {
    if (observedAtMs < this.#observedAtMs) return
    this.#observedAtMs = observedAtMs
    this.#incarnation = incarnation === null ? null : bareUuid(incarnation)
  }
}

const REFRESH_INTERVAL_MS = 1_000
const BEGIN_BACKOFF_MAX_MS = 60_000

/**
 * Looks now and then, where loads do not: a process that answers from Redis alone has none. Where
 * its connections see no incarnation, as after a restart while no invalidator runs, it begins one:
 * without it nothing that is loaded could be stored. `onError` is told once while it may not.
 */
export async function trackIncarnation(
  db: Kysely<Database>,
  tracker: IncarnationTracker,
  stopping: AbortSignal,
  onError: (error: unknown) => void = () => {},
): Promise<void> {
  let isReported = false
  let pauseMs = REFRESH_INTERVAL_MS
  let beginAtMs = 0

  async function refresh(): Promise<void> {
    const startedAtMs = performance.now()
    try {
      tracker.observe(await findIncarnation(db), startedAtMs)
    } catch (error) {
      // While Postgres is away nothing is learned: what was last seen stands.
      if (isPermanent(error)) report(error)
    }
  }

  async function begin(): Promise<void> {
    try {
      await beginIncarnation(db)
      isReported = false
      pauseMs = REFRESH_INTERVAL_MS
      await refresh()
    } catch (error) {
      if (isPermanent(error)) report(error)
      pauseMs = Math.min(BEGIN_BACKOFF_MAX_MS, 2 * pauseMs)
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

/** A right, the schema or a part of it is missing, or this connection may only read. */
const PERMANENT_STATES = new Set(['42501', '42P01', '42883', '3F000', '25006'])

const isPermanent = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && PERMANENT_STATES.has(String(error.code))
