import { REWRITING_DOORS } from '../writers/rewriting-doors.ts'
import type { Fault } from './fault.ts'

const WRITERS = 2

/** What gives a table new files, in which a snapshot from before sees nothing. */
export const REWRITE_FAULTS: readonly Fault[] = [
  {
    name: 'tables-rewritten',
    // Who waits for a table may lose a deadlock with whoever rewrites several.
    takes: 'nothing',
    holdMs: 6_000,
    async inject({ write }) {
      const writers = Array.from({ length: WRITERS }, () => write(REWRITING_DOORS))
      return async () => {
        await Promise.all(writers.map((writer) => writer.stop()))
      }
    },
  },
]
