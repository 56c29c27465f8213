import type { Fault } from '../faults/fault.ts'
import type { Seen } from '../readers/readers.ts'
import type { Violation } from './verdict.ts'

/** 80 ms for Redis, 1 s for a concurrent load, and a load of its own. */
const LONGEST_MS = 3_000

/**
 * Checks that every read is answered in time without Redis. The limit grows with the slowest answer
 * of an API without a cache, since the machine may be busy.
 */
export function checkReaders(
  { reads, failures }: Seen,
  fault: Fault | null,
  controlMs: number,
): readonly Violation[] {
  const violations: Violation[] = []
  if (fault?.takes !== 'postgres') {
    for (const { failure, startMs, endMs } of failures) {
      violations.push({
        guarantee: 'G6',
        what: `a read was not answered: ${failure}`,
        timeline: [`asked ${startMs.toFixed(1)} ms, gave up ${endMs.toFixed(1)} ms`],
      })
    }
  }
  const slowest = reads.reduce((most, { startMs, endMs }) => Math.max(most, endMs - startMs), 0)
  if (fault?.takes === 'redis' && slowest > LONGEST_MS + 2 * controlMs) {
    violations.push({
      guarantee: 'G6',
      what: `a read without Redis took ${slowest.toFixed()} ms`,
      timeline: [`the slowest read without a cache took ${controlMs.toFixed()} ms`],
    })
  }
  return violations
}
