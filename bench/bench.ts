import type { Print } from '../scripts/servers/print.ts'
import type { Cores } from './cores.ts'
import type { Figure } from './figure.ts'
import type { Servers } from './servers.ts'

/** The context of every part of the benchmark. */
export interface Bench {
  readonly servers: Servers
  readonly cores: Cores | null
  /** True for short rounds. Quote only the figures of full runs. */
  readonly quick: boolean
  readonly print: Print
  /** Receives the stop function of each process that a part starts. */
  readonly onStop: (stop: () => Promise<unknown>) => void
}

/** Runs one measurement and prints its tables. Returns the figures for the last table. */
export type Part = (bench: Bench) => Promise<readonly Figure[]>
