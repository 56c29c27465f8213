import { stateDir } from '../scripts/paths.ts'
import { findPgbench } from '../scripts/servers/load-programs.ts'
import type { Part } from './bench.ts'
import { type Figure, shown } from './figure.ts'
import { startInvalidator } from './invalidator.ts'
import { LAST_WRITTEN_ID, runPgbench } from './pgbench.ts'
import { probe } from './probe.ts'
import { findProfileIds } from './profiles.ts'
import { quantile } from './statistics.ts'
import { table } from './table.ts'

const LOADED_SHARE = 0.7
const WRITERS = 16

/** Measures the time from a commit to the deletion of its stale entry, with one invalidator. */
export const lag: Part = async (bench) => {
  const { servers, quick, print } = bench
  const pgbench = await findPgbench({ stateDir, env: process.env, print })
  const invalidator = await startInvalidator(bench)
  // Excludes the profiles that the background load changes, because it invalidates them too.
  const ids = (await findProfileIds(servers.databaseUrl)).filter((id) => +id > LAST_WRITTEN_ID)
  const seconds = quick ? 4 : 20
  const at = (perS: number, forS = seconds) => probe({ ...servers, ids, perS, seconds: forS })

  await at(200, 2)
  print('lag: 20 and 200 commits a second')
  const seldom = await at(20)
  const often = await at(200)

  const writer = { pgbench, url: servers.databaseUrl, clients: WRITERS }
  const saturation = await runPgbench({ ...writer, seconds: quick ? 2 : 5 })
  const perS = LOADED_SHARE * saturation
  print(`lag: during ${shown(perS)} commits a second, 70 % of the throughput of ${WRITERS} writers`)
  const load = runPgbench({ ...writer, seconds: seconds + 1, perS })
  const [loaded] = await Promise.all([at(50), load])
  await invalidator.stop()

  const rows: [string, readonly number[]][] = [
    ['20 commits/s', seldom],
    ['200 commits/s', often],
    ['70 % of saturation', loaded],
  ]
  const shares = [0.5, 0.95, 0.99, 1]
  print(
    table(
      ['commit -> invalidated, ms', 'p50', 'p95', 'p99', 'max', 'commits'],
      rows.map(([name, ms]) => [
        name,
        ...shares.map((share) => shown(quantile(ms, share))),
        `${ms.length}`,
      ]),
    ),
  )
  const figure = (what: string, value: number, atMost: number): Figure => ({
    what: `commit -> invalidated, ${what}`,
    value,
    unit: 'ms',
    budget: { atMost },
  })
  return [
    figure('200 commits/s, p50', quantile(often, 0.5), 1.2),
    figure('200 commits/s, p99', quantile(often, 0.99), 6),
    figure('70 % of saturation, p99', quantile(loaded, 0.99), 25),
  ]
}
