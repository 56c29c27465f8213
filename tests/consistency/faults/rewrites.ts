import { REWRITING_DOORS } from '../writers/rewriting-doors.ts'
import type { Fault } from './fault.ts'

const WRITERS = 2

/** Rewrites of tables. An older snapshot sees no rows in a rewritten table. */
export const REWRITE_FAULTS: readonly Fault[] = [
  {
    name: 'tables-rewritten',
    // Transactions may deadlock with one that rewrites several tables; writers retry.
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
