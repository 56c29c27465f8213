import { untilApplied } from '../applied.ts'
import { startInvalidator } from '../invalidator.ts'
import { probe } from '../probe.ts'
import { untilSharedOut } from '../shared-out.ts'
import { quantile } from '../statistics.ts'
import type { Measures } from './grid.ts'
import { processorTime } from './processor-time.ts'
import type { World } from './world.ts'

export const COMMIT_MEASURES = {
  'lag p50 ms': 'cost',
  'lag p99 ms': 'cost',
  'window, CPU us': 'cost',
  'commit, CPU us': 'cost',
  windows: 'check',
} as const satisfies Measures

const COMMITS_PER_S = 100
const WARM_S = 2

/**
 * Measures the lag of some invalidators, and their CPU time for each of their windows. The CPU time
 * for each commit includes Redis and the connections to Postgres.
 */
export async function measureCommits(
  { bench, profileIds, redisPid, backends }: World,
  count: number,
  seconds: number,
): Promise<Record<keyof typeof COMMIT_MEASURES, number>> {
  const { servers } = bench
  const invalidators = await Promise.all(
    Array.from({ length: count }, () => startInvalidator(bench)),
  )
  try {
    await untilApplied(servers)
    await untilSharedOut(invalidators)
    const at = (forS: number) =>
      probe({ ...servers, ids: profileIds, perS: COMMITS_PER_S, seconds: forS })
    await at(WARM_S)
    const countWindows = async () => {
      const counts = invalidators.map((one) => one.count('spms_invalidator_windows_total'))
      return (await Promise.all(counts)).reduce((sum, windows) => sum + windows, 0)
    }
    const windowsBefore = await countWindows()
    const own = await processorTime({ pids: invalidators.map(({ pid }) => pid) }, () =>
      processorTime({ pids: [redisPid], others: () => backends('spms-invalidator') }, () =>
        at(seconds),
      ),
    )
    const windows = (await countWindows()) - windowsBefore
    const { result: lags, ms: serversMs } = own.result
    return {
      'lag p50 ms': quantile(lags, 0.5),
      'lag p99 ms': quantile(lags, 0.99),
      'window, CPU us': (own.ms * 1000) / windows,
      'commit, CPU us': ((own.ms + serversMs) * 1000) / lags.length,
      windows,
    }
  } finally {
    for (const invalidator of invalidators) await invalidator.stop()
  }
}
