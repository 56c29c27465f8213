import type { Fault } from '../faults/fault.ts'
import type { Seen } from '../readers/readers.ts'
import type { Violation } from './judge.ts'

/** What a request may take on a machine that does much else: 80 ms of trying, and then a load. */
const USUAL_MS = 500
const LONGEST_MS = 3_000
const ENOUGH = 20

/** Without Redis every read is answered, and soon; without a fault too. */
export function judgeReaders({ reads, failures }: Seen, fault: Fault | null): readonly Violation[] {
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
  const without = reads
    .filter(({ cacheStatus }) => cacheStatus.includes('detail=redis'))
    .map(({ startMs, endMs }) => endMs - startMs)
    .toSorted((a, b) => a - b)
  const [median = 0, slowest = 0] = [0.5, 0.99].map(
    (share) => without[Math.floor(share * without.length)],
  )
  if (
    fault?.takes === 'redis' &&
    without.length >= ENOUGH &&
    (median > USUAL_MS || slowest > LONGEST_MS)
  ) {
    violations.push({
      guarantee: 'G6',
      what: `reads without Redis took ${median.toFixed()} ms, and one of a hundred ${slowest.toFixed()} ms`,
      timeline: [],
    })
  }
  return violations
}
