import { setTimeout as sleep } from 'node:timers/promises'
import { untilApplied } from '../applied.ts'
import type { Part } from '../bench.ts'
import { type Figure, shown } from '../figure.ts'
import { startInvalidator } from '../invalidator.ts'
import { LAST_WRITTEN_ID } from '../pgbench.ts'
import { probe } from '../probe.ts'
import { findProfileIds } from '../profiles.ts'
import { untilSharedOut } from '../shared-out.ts'
import { quantile } from '../statistics.ts'
import { table } from '../table.ts'

const COMMITS_PER_S = 200
const MORE = 2
/** Pause between two changes of the number of invalidators. */
const CALM_MS = 2_000

/** Measures how fast invalidators redistribute resources when their number changes, and the lag meanwhile. */
export const replicas: Part = async (bench) => {
  const { servers, quick, print } = bench
  const seconds = quick ? 20 : 120
  const first = await startInvalidator(bench)
  const ids = (await findProfileIds(servers.databaseUrl)).filter((id) => +id > LAST_WRITTEN_ID)
  await untilApplied(servers)
  print(
    `scale: invalidators from 1 to ${1 + MORE} and back for ${seconds} s, ${COMMITS_PER_S} commits/s`,
  )

  const endMs = performance.now() + seconds * 1_000
  const more: number[] = []
  const fewer: number[] = []
  const comeAndGo = async () => {
    while (performance.now() < endMs) {
      await sleep(CALM_MS)
      const others = await Promise.all(Array.from({ length: MORE }, () => startInvalidator(bench)))
      more.push(await untilSharedOut([first, ...others]))
      await sleep(CALM_MS)
      const gone = Promise.all(others.map((other) => other.stop()))
      fewer.push(await untilSharedOut([first]))
      await gone
    }
  }
  const [lags] = await Promise.all([
    probe({ ...servers, ids, perS: COMMITS_PER_S, seconds }),
    comeAndGo(),
  ])
  await first.stop()

  const moves = [...more, ...fewer]
  const row = (name: string, of: readonly number[]) => [
    name,
    `${of.length}`,
    ...[0.5, 0.99, 1].map((share) => shown(quantile(of, share))),
  ]
  print(
    table(
      ['replicas, ms', 'times', 'p50', 'p99', 'max'],
      [
        row(`until ${1 + MORE} own their shares, after the last is ready`, more),
        row('until one owns everything, after the others are stopped', fewer),
        row('commit -> invalidated meanwhile', lags),
      ],
    ),
  )
  const figure = (what: string, value: number, atMost: number): Figure => ({
    what: `1 to ${1 + MORE} invalidators and back, ${what}`,
    value,
    unit: 'ms',
    budget: { atMost },
  })
  return [
    figure('maximum until resources are redistributed', Math.max(...moves), 2_000),
    figure('commit -> invalidated, p99', quantile(lags, 0.99), 250),
  ]
}
