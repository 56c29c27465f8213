import type { Observer } from '../observer.ts'
import type { Allowances } from '../oracle/allowances.ts'
import type { Violation } from '../oracle/verdict.ts'
import type { Random } from '../random.ts'
import type { Running } from '../readers/readers.ts'
import type { Stage } from '../stage/stage.ts'
import type { Door } from '../writers/doors.ts'

/** What a fault may touch. */
export interface Scene {
  readonly stage: Stage
  readonly observer: Observer
  /** For what the guarantees themselves except. */
  readonly allowances: Allowances
  readonly random: Random
  /** Whether there is time for the long form. */
  readonly isLong: boolean
  /** Starts one more writer, who uses other doors; the fault stops it, or the end of the phase does. */
  readonly write: (doors: readonly Door[]) => Running
}

/**
 * Undoes a fault; resolves when nothing is in its way any more, with what the fault itself saw that
 * must not be.
 */
export type Recover = () => Promise<readonly Violation[] | void>

/** Something that breaks, stops or lies while everybody goes on. */
export interface Fault {
  readonly name: string
  /** What requests lose by it. Without Postgres they may fail, and are right if they do not. */
  readonly takes: 'nothing' | 'redis' | 'postgres'
  readonly inject: (scene: Scene) => Promise<Recover>
  /** How long it lasts at least, besides what its own steps take. */
  readonly holdMs: number
  /** It waits for services that it starts, which cannot work while something else is broken. */
  readonly startsServices?: boolean
  /** It takes too long, or needs too much, for a short run. */
  readonly isForLongRuns?: boolean
}
