import { setTimeout as sleep } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import { beginIncarnation, findIncarnation } from '../../db/queries/incarnation.ts'
import type { Database } from '../../db/schema.ts'
import { bareUuid } from './frame.ts'

/**
 * Which life of the database this process' own connections see. A watermark may speak of another:
 * of a primary that was replaced and has not heard of it, and whose invalidator has not either.
 */
export class OwnLife {
  #incarnation: string | null | undefined
  #askedAtMs = -Infinity

  /** As frames have it; `null` when nobody has begun this life, `undefined` before anybody looked. */
  get incarnation(): string | null | undefined {
    return this.#incarnation
  }

  get askedAtMs(): number {
    return this.#askedAtMs
  }

  /** Takes what a query saw, and `performance.now()` when it began; an older one is no news. */
  saw(incarnation: string | null, askedAtMs: number): void {
    if (askedAtMs < this.#askedAtMs) return
    this.#askedAtMs = askedAtMs
    this.#incarnation = incarnation === null ? null : bareUuid(incarnation)
  }
}

const LOOK_EVERY_MS = 1_000
const BEGIN_AGAIN_MAX_MS = 60_000

/**
 * Looks now and then, where loads do not: a process that answers from Redis alone has none. Where
 * its connections see no incarnation, as after a restart while no invalidator runs, it begins one:
 * without it nothing that is loaded could be stored. `onTrouble` is told once while it may not.
 */
export async function watchOwnLife(
  db: Kysely<Database>,
  life: OwnLife,
  stopping: AbortSignal,
  onTrouble: (error: unknown) => void = () => {},
): Promise<void> {
  let isInTrouble = false
  let pauseMs = LOOK_EVERY_MS
  let beginAtMs = 0

  async function look(): Promise<void> {
    const askedAtMs = performance.now()
    try {
      life.saw(await findIncarnation(db), askedAtMs)
    } catch (error) {
      // While Postgres is away nothing is learned: what was last seen stands.
      if (isRefusal(error)) report(error)
    }
  }

  async function begin(): Promise<void> {
    try {
      await beginIncarnation(db)
      isInTrouble = false
      pauseMs = LOOK_EVERY_MS
      await look()
    } catch (error) {
      if (isRefusal(error)) report(error)
      pauseMs = Math.min(BEGIN_AGAIN_MAX_MS, 2 * pauseMs)
      beginAtMs = performance.now() + pauseMs
    }
  }

  function report(error: unknown): void {
    if (!isInTrouble) onTrouble(error)
    isInTrouble = true
  }

  while (!stopping.aborted) {
    if (performance.now() - life.askedAtMs >= LOOK_EVERY_MS) await look()
    if (life.incarnation === null && performance.now() >= beginAtMs) await begin()
    await sleep(LOOK_EVERY_MS, undefined, { signal: stopping, ref: false }).catch(() => {})
  }
}

/** A right, the schema or a part of it is missing, or this connection may only read. */
const REFUSALS = new Set(['42501', '42P01', '42883', '3F000', '25006'])

const isRefusal = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && REFUSALS.has(String(error.code))
