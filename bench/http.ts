import { Redis } from 'ioredis'
import { type Arm, type ArmName, openArms } from './arms.ts'
import type { Part } from './bench.ts'
import { createClient } from './client.ts'
import { pin } from './cores.ts'
import { during } from './during.ts'
import { shown } from './figure.ts'
import { measureArms } from './measure-arms.ts'
import { openLoop } from './open-loop.ts'
import { cpuRatioOf, over, ratioOf, type Round } from './rounds.ts'
import { quantile } from './statistics.ts'
import { createStops } from './stops.ts'
import { table } from './table.ts'

/** Share of the slowest arm's throughput. A higher rate would measure an unbounded queue. */
const LATENCY_SHARE = 0.5
const LATENCY_PER_S = 200

/** Measures requests per second as hit, 304, miss and without a cache, relative to constant responses. */
export const http: Part = async (bench) => {
  const { servers, cores, quick, print } = bench
  await using stops = createStops()
  const { onStop } = stops
  const redis = new Redis(servers.redisUrl)
  const clients = [process.pid, ...servers.pids]
  if (cores) await Promise.all(clients.map((pid) => pin(pid, cores.others)))
  try {
    const arms = await openArms({ ...bench, onStop }, redis)
    const rounds = await measureArms(bench, 'http', arms)
    print(throughputTable(arms, rounds))

    const slowest = over(rounds, 'uncached', ({ perS }) => perS)
    const perS = Math.min(LATENCY_PER_S, Math.ceil(LATENCY_SHARE * slowest))
    const latencies: string[][] = []
    for (const arm of arms.filter(({ name }) => ['hit', 'miss', 'uncached'].includes(name))) {
      using client = createClient(arm.service.origin)
      const ask = (i: number) => client.ask(arm.paths[i % arm.paths.length] as string)
      const ms = await during(arm, () => openLoop({ perS, seconds: quick ? 3 : 15 }, ask))
      latencies.push([arm.name, ...[0.5, 0.95, 0.99].map((share) => shown(quantile(ms, share)))])
    }
    print(table([`ms at ${perS} requests/s`, 'p50', 'p95', 'p99'], latencies))

    const ratio = ratioOf(rounds, 'hit', 'Express')
    const byCpu = `by processor time ${shown(cpuRatioOf(rounds, 'hit', 'Express'))}`
    return [
      {
        what: 'hit, against Express with the same constant bytes',
        value: typeof ratio === 'number' ? ratio : null,
        unit: '',
        budget: { atLeast: 0.9 },
        note: typeof ratio === 'number' ? byCpu : `${ratio}; ${byCpu}`,
      },
    ]
  } finally {
    redis.disconnect()
    if (cores) await Promise.all(clients.map((pid) => pin(pid, cores.all)))
  }
}

function throughputTable(arms: readonly Arm[], rounds: readonly Round[]): string {
  const ratio = (arm: ArmName, base: ArmName) => {
    if (arm === base) return '1'
    const value = ratioOf(rounds, arm, base)
    return typeof value === 'number' ? shown(value) : value
  }
  const percent = (share: number) => `${Math.round(100 * share)} %`
  return table(
    [
      '',
      'requests/s',
      'x Express',
      'x node:http',
      'CPU us',
      'x Express by CPU',
      'as expected',
      'server',
      'wrk',
    ],
    arms.map(({ name }) => {
      const base = name === 'hit, logged in' ? 'Express, projects' : 'Express'
      return [
        name,
        shown(over(rounds, name, ({ perS }) => perS)),
        ratio(name, base),
        ratio(name, 'node:http'),
        shown(over(rounds, name, ({ cpuUs }) => cpuUs)),
        shown(cpuRatioOf(rounds, name, base)),
        percent(over(rounds, name, ({ asExpected }) => asExpected)),
        percent(over(rounds, name, ({ server }) => server.busy)),
        percent(over(rounds, name, ({ client }) => client.busy)),
      ]
    }),
  )
}
