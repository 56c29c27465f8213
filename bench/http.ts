import { Redis } from 'ioredis'
import { stateDir } from '../scripts/paths.ts'
import { findWrk } from '../scripts/servers/load-programs.ts'
import { type Arm, type ArmName, openArms } from './arms.ts'
import type { Part } from './bench.ts'
import { createClient } from './client.ts'
import { pin } from './cores.ts'
import { shown } from './figure.ts'
import { openLoop } from './open-loop.ts'
import { type ArmRun, cpuRatioOf, over, ratioOf, type Round } from './rounds.ts'
import { quantile, seededRandom, shuffled } from './statistics.ts'
import { table } from './table.ts'
import { runWrk, type WrkRun } from './wrk.ts'

/** Share of the slowest arm's throughput. A higher rate would measure an unbounded queue. */
const LATENCY_SHARE = 0.5
const LATENCY_PER_S = 200

/** Measures requests per second as hit, 304, miss and without a cache, relative to constant responses. */
export const http: Part = async (bench) => {
  const { servers, cores, quick, print } = bench
  const wrk = await findWrk({ stateDir, env: process.env, print })
  const stops: (() => Promise<unknown>)[] = []
  const redis = new Redis(servers.redisUrl)
  const clients = [process.pid, ...servers.pids]
  if (cores) await Promise.all(clients.map((pid) => pin(pid, cores.others)))
  try {
    const arms = await openArms({ ...bench, onStop: (stop) => void stops.push(stop) }, redis)
    const measure = (arm: Arm, seconds: number) =>
      during(arm, () =>
        runWrk({
          wrk,
          origin: arm.service.origin,
          paths: arm.paths,
          headers: arm.headers ?? {},
          serverPid: arm.service.pid,
          seconds,
          cores: cores?.others,
        }),
      )

    const seconds = quick ? 1 : 3
    for (const arm of arms) await measure(arm, seconds)
    const random = seededRandom(1)
    const rounds: Round[] = []
    for (let round = 1; round <= (quick ? 3 : 7); round++) {
      print(`http: round ${round}`)
      const runs = new Map<ArmName, ArmRun>()
      for (const arm of shuffled(arms, random)) {
        runs.set(arm.name, await runArm(arm, () => measure(arm, seconds)))
      }
      rounds.push(runs)
    }
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
    for (const stop of stops.toReversed()) await stop()
    if (cores) await Promise.all(clients.map((pid) => pin(pid, cores.all)))
  }
}

/** Measures an arm while its background work runs. */
async function during<T>(arm: Arm, measure: () => Promise<T>): Promise<T> {
  await fetch(`${arm.service.origin}${arm.paths[0]}`, { headers: { ...arm.headers } })
  const end = arm.meanwhile?.()
  try {
    return await measure()
  } finally {
    end?.()
  }
}

/** Runs an arm, and computes the share of expected outcomes from the metrics of the API. */
async function runArm(arm: Arm, measure: () => Promise<WrkRun>): Promise<ArmRun> {
  const { service, expected } = arm
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
