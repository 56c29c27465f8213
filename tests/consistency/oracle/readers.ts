import type { Fault } from '../faults/fault.ts'
import type { Seen } from '../readers/readers.ts'
import type { Violation } from './verdict.ts'

/** 80 ms of trying, 1 s for the load of another, and a load of one's own. */
const LONGEST_MS = 3_000

/**
 * Without Redis every read is answered, and soon: as far as a machine that does much else answers
 * those soon that need no Redis at all.
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
      timeline: [`the slowest that needed none took ${controlMs.toFixed()} ms`],
    })
  }
  return violations
}
