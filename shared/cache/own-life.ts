import { setTimeout as sleep } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import { findIncarnation } from '../../db/queries/incarnation.ts'
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

/** Looks now and then, where loads do not: a process that answers from Redis alone has none. */
export async function watchOwnLife(
  db: Kysely<Database>,
  life: OwnLife,
  stopping: AbortSignal,
): Promise<void> {
  while (!stopping.aborted) {
    const askedAtMs = performance.now()
    if (askedAtMs - life.askedAtMs >= LOOK_EVERY_MS) {
      // While Postgres is away nothing is learned: what was last seen stands.
      await findIncarnation(db).then(
        (incarnation) => life.saw(incarnation, askedAtMs),
        () => {},
      )
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal: stopping, ref: false }).catch(() => {})
  }
}
