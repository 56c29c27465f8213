import { setTimeout as sleep } from 'node:timers/promises'
import { catalog } from '../../shared/resources/index.ts'
import { untilApplied } from '../applied.ts'
import type { Part } from '../bench.ts'
import { type Figure, shown } from '../figure.ts'
import { startInvalidator } from '../invalidator.ts'
import { LAST_WRITTEN_ID } from '../pgbench.ts'
import { probe } from '../probe.ts'
import { findProfileIds } from '../profiles.ts'
import type { Service } from '../service.ts'
import { quantile } from '../statistics.ts'
import { table } from '../table.ts'

const COMMITS_PER_S = 200
const MORE = 2
/** Pause between two changes of the number of invalidators. */
const CALM_MS = 2_000
const POLL_INTERVAL_MS = 20
const LOST_MS = 60_000

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

/** Returns the milliseconds until the invalidators own all resources, and none more than its share. */
async function untilSharedOut(invalidators: readonly Service[]): Promise<number> {
  const startedMs = performance.now()
  const share = Math.ceil(catalog.length / invalidators.length)
  for (;;) {
    const owned = await Promise.all(invalidators.map((one) => one.count('spms_resource_owned')))
    const all = owned.reduce((sum, count) => sum + count, 0)
    const tookMs = performance.now() - startedMs
    if (all === catalog.length && Math.max(...owned) <= share) return tookMs
    if (tookMs > LOST_MS)
      throw new Error(
        `the resources are not distributed evenly after ${LOST_MS} ms: ${owned.join(', ')}`,
      )
    await sleep(POLL_INTERVAL_MS)
  }
}
