import type { Observer } from '../observer.ts'
import type { Allowances } from '../oracle/allowances.ts'
import type { Violation } from '../oracle/verdict.ts'
import type { Random } from '../random.ts'
import type { Running } from '../readers/readers.ts'
import type { Stage } from '../stage/stage.ts'
import type { Door } from '../writers/doors.ts'

/** The parts of a run that a fault may use. */
export interface Scene {
  readonly stage: Stage
  readonly observer: Observer
  /** Exceptions of the guarantees that the fault causes. */
  readonly allowances: Allowances
  readonly random: Random
  /** Whether the run is long enough for the long form of a fault. */
  readonly isLong: boolean
  /** Starts one more writer with these doors. The fault stops it, or else the end of the phase does. */
  readonly write: (doors: readonly Door[]) => Running
}

/** Undoes a fault. Resolves when it has no more effects, with violations that the fault itself found. */
export type Recover = () => Promise<readonly Violation[] | void>

/** A failure or an operator's action that occurs while readers and writers run. */
export interface Fault {
  readonly name: string
  /** The server that requests cannot use meanwhile. Without Postgres they may fail. */
  readonly takes: 'nothing' | 'redis' | 'postgres'
  readonly inject: (scene: Scene) => Promise<Recover>
  /** Time between injection and recovery, in ms. */
  readonly holdMs: number
  /** Whether it waits for services that it starts, which another fault could prevent from starting. */
  readonly startsServices?: boolean
  /** Whether it takes too long or too many resources for a short run. */
  readonly isForLongRuns?: boolean
}
