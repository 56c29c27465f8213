import type { Print } from '../scripts/servers/print.ts'
import type { Cores } from './cores.ts'
import type { Figure } from './figure.ts'
import type { Servers } from './servers.ts'

/** What every part of the bench is given. */
export interface Bench {
  readonly servers: Servers
  readonly cores: Cores | null
  /** Short rounds, for a look; the figures of a full run are those to quote. */
  readonly quick: boolean
  readonly print: Print
  /** Told how each thing that was started is stopped. */
  readonly onStop: (stop: () => Promise<unknown>) => void
}

/** Measures one thing, says what it found, and answers with what there is a budget for. */
export type Part = (bench: Bench) => Promise<readonly Figure[]>
