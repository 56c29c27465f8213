import { Redis } from 'ioredis'
import { type Arm, type ArmName, openArms } from './arms.ts'
import type { Part } from './bench.ts'
import { createClient } from './client.ts'
import { pin } from './cores.ts'
import { during } from './during.ts'
import { type Figure, shown } from './figure.ts'
import { measureArms } from './measure-arms.ts'
import { openLoop } from './open-loop.ts'
import { cpuRatioOf, over, ratioOf, type Round } from './rounds.ts'
import { quantile } from './statistics.ts'
import { createStops } from './stops.ts'
import { table } from './table.ts'

/** Share of the slowest arm's throughput. A higher rate would measure an unbounded queue. */
const LATENCY_SHARE = 0.5
const LATENCY_PER_S = 200
/** For hits and constants. At higher rates the thread of the driver is the bottleneck. */
const FAST_PER_S = 1_000

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

    const express = over(rounds, 'Express', ({ perS }) => perS)
    const fast = Math.min(FAST_PER_S, Math.ceil(LATENCY_SHARE * express))
    const slowest = over(rounds, 'uncached', ({ perS }) => perS)
    const low = Math.min(LATENCY_PER_S, Math.ceil(LATENCY_SHARE * slowest))
    const latencies = async (names: readonly ArmName[], perS: number) => {
      const found = new Map<ArmName, readonly number[]>()
      for (const arm of arms.filter(({ name }) => names.includes(name))) {
        using client = createClient(arm.service.origin)
        const ask = (i: number) =>
          client.ask(arm.paths[i % arm.paths.length] as string, arm.headers)
        const ms = await during(arm, () => openLoop({ perS, seconds: quick ? 3 : 15 }, ask))
        found.set(arm.name, ms)
      }
      const rows = [...found].map(([name, ms]) => [
        name,
        ...[0.5, 0.95, 0.99].map((share) => shown(quantile(ms, share))),
      ])
      print(table([`ms at ${shown(perS)} requests/s`, 'p50', 'p95', 'p99'], rows))
      return (name: ArmName) => quantile(found.get(name) ?? [], 0.99)
    }
    await latencies(['hit', 'miss', 'uncached'], low)
    const p99 = await latencies(['node:http', 'Express', 'hit'], fast)

    const figure = (what: string, arm: ArmName, base: ArmName, atLeast: number): Figure => {
      const ratio = ratioOf(rounds, arm, base)
      const byCpu = `by processor time ${shown(cpuRatioOf(rounds, arm, base))}`
      return {
        what,
        value: typeof ratio === 'number' ? ratio : null,
        unit: '',
        budget: { atLeast },
        note: typeof ratio === 'number' ? byCpu : `${ratio}; ${byCpu}`,
      }
    }
    return [
      figure('hit, against node:http', 'hit', 'node:http', 0.75),
      figure('304, against node:http with the body', '304', 'node:http', 0.8),
      figure('hit, logged in, against node:http', 'hit, logged in', 'node:http, projects', 0.5),
      {
        what: `hit, p99 at ${shown(fast)} requests/s, against that of Express`,
        value: p99('hit') / p99('Express'),
        unit: '',
        budget: { atMost: 1 },
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
      const isProjects = name.endsWith(', projects') || name === 'hit, logged in'
      const base = isProjects ? 'Express, projects' : 'Express'
      return [
        name,
        shown(over(rounds, name, ({ perS }) => perS)),
        ratio(name, base),
        ratio(name, isProjects ? 'node:http, projects' : 'node:http'),
        shown(over(rounds, name, ({ cpuUs }) => cpuUs)),
        shown(cpuRatioOf(rounds, name, base)),
        percent(over(rounds, name, ({ asExpected }) => asExpected)),
        percent(over(rounds, name, ({ server }) => server.busy)),
        percent(over(rounds, name, ({ client }) => client.busy)),
      ]
    }),
  )
}
