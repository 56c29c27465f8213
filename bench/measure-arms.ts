import { stateDir } from '../scripts/paths.ts'
import { findWrk } from '../scripts/servers/load-programs.ts'
import type { Arm } from './arms.ts'
import type { Bench } from './bench.ts'
import { during } from './during.ts'
import type { ArmRun, Round } from './rounds.ts'
import { seededRandom, shuffled } from './statistics.ts'
import { runWrk, type WrkRun } from './wrk.ts'

/** Measures the throughput of arms in rounds. Every round runs each arm once, in random order. */
export async function measureArms<Name extends string>(
  { cores, quick, print }: Bench,
  part: string,
  arms: readonly Arm<Name>[],
): Promise<Round<Name>[]> {
  const wrk = await findWrk({ stateDir, env: process.env, print })
  const seconds = quick ? 1 : 3
  const measure = (arm: Arm<Name>) =>
    during(arm, () =>
      runWrk(
        {
          wrk,
          origin: arm.service.origin,
          paths: arm.paths,
          headers: arm.headers ?? {},
          seconds,
          cores: cores?.others,
        },
        arm.service.pid,
      ),
    )

  // Warms up.
  for (const arm of arms) {
    await arm.prepare?.()
    await measure(arm)
  }
  const random = seededRandom(1)
  const rounds: Round<Name>[] = []
  for (let round = 1; round <= (quick ? 3 : 7); round++) {
    print(`${part}: round ${round}`)
    const runs = new Map<Name, ArmRun>()
    for (const arm of shuffled(arms, random)) {
      await arm.prepare?.()
      runs.set(arm.name, await checkOutcomes(arm, seconds, () => measure(arm)))
    }
    rounds.push(runs)
  }
  return rounds
}

/** Runs an arm, and computes the share of expected outcomes from the metrics of its service. */
async function checkOutcomes(
  { service, expected, loadCounter }: Arm<string>,
  seconds: number,
  measure: () => Promise<WrkRun>,
): Promise<ArmRun> {
  if (loadCounter !== undefined) {
    const before = await service.count(loadCounter)
    const run = await measure()
    const loads = (await service.count(loadCounter)) - before
    return { ...run, asExpected: 1 - loads / (run.perS * seconds) }
  }
  if (!expected) return { ...(await measure()), asExpected: 1 }
  const { resource, outcome } = expected
  const count = () =>
    Promise.all([
      service.count('spms_cache_reads_total', { resource, outcome }),
      service.count('spms_cache_reads_total', { resource }),
    ])
  const before = await count()
  const run = await measure()
  const after = await count()
  return { ...run, asExpected: (after[0] - before[0]) / (after[1] - before[1]) }
}
