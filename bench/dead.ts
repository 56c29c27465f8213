import { stateDir } from '../scripts/paths.ts'
import { findPgbench } from '../scripts/servers/load-programs.ts'
import { startRedis } from '../scripts/servers/redis.ts'
import { untilApplied } from './applied.ts'
import type { Bench, Part } from './bench.ts'
import { type Figure, shown } from './figure.ts'
import { startInvalidator } from './invalidator.ts'
import { runPgbench } from './pgbench.ts'
import { median, quantile, seededRandom, shuffled } from './statistics.ts'
import { table } from './table.ts'

const WRITERS = 16

/** A process that the benchmark kills and restarts. */
interface Killable {
  kill(): Promise<unknown>
  restore(): Promise<unknown>
}

interface Run {
  readonly tps: number
  /** Notifications per commit; NaN without an invalidator, which counts them. */
  readonly notified: number
}

/** Measures the throughput of writers without the invalidator, without Redis, and without both. */
export const dead: Part = async (bench) => {
  const { quick, print, onStop } = bench
  const seconds = quick ? 2 : 5
  const pgbench = await findPgbench({ stateDir, env: process.env, print })
  // Its own Redis, because this part kills it.
  let server = await startRedis({ stateDir, env: process.env, print })
  onStop(() => server.stop())
  const own: Bench = { ...bench, servers: { ...bench.servers, redisUrl: server.url } }
  let worker = await startInvalidator(own)
  await untilApplied(own.servers)

  const redis: Killable = {
    kill: () => server.kill(),
    async restore() {
      server = await startRedis({ stateDir, env: process.env, port: server.port, print })
    },
  }
  const invalidator: Killable = {
    kill: () => worker.stop('SIGKILL'),
    async restore() {
      worker = await startInvalidator(own)
    },
  }
  const arms: readonly { readonly name: string; readonly kills: readonly Killable[] }[] = [
    { name: 'everything alive', kills: [] },
    { name: 'invalidator dead', kills: [invalidator] },
    { name: 'Redis dead', kills: [redis] },
    { name: 'both dead', kills: [redis, invalidator] },
  ]
  const [alive = '', ...others] = arms.map(({ name }) => name)

  async function measure({ kills }: (typeof arms)[number]): Promise<Run> {
    for (const one of kills) await one.kill()
    const countWakeUps = () =>
      kills.includes(invalidator) ? Number.NaN : worker.count('spms_wakeups_total')
    const before = await countWakeUps()
    const writer = { pgbench, url: own.servers.databaseUrl, clients: WRITERS }
    const tps = await runPgbench({ ...writer, seconds })
    const notified = ((await countWakeUps()) - before) / (tps * seconds)
    for (const one of kills) await one.restore()
    // The next arm starts without a backlog.
    await untilApplied(own.servers)
    return { tps, notified }
  }

  const random = seededRandom(3)
  const rounds: ReadonlyMap<string, Run>[] = []
  for (let round = 0; round < (quick ? 3 : 7); round++) {
    print(`dead: round ${round + 1}`)
    const found = new Map<string, Run>()
    // In another order each time, because every arm affects the state of the machine for the next one.
    for (const arm of shuffled(arms, random)) found.set(arm.name, await measure(arm))
    rounds.push(found)
  }
  await worker.stop()
  await server.stop()

  const of = (name: string) => rounds.map((round) => round.get(name) as Run)
  const ratios = (name: string) =>
    rounds.map((_, i) => (of(name)[i] as Run).tps / (of(alive)[i] as Run).tps)
  print(
    table(
      [`${WRITERS} writers`, 'TPS', 'ratio', 'of rounds', 'commits that notified'],
      arms.map(({ name }) => [
        name,
        shown(median(of(name).map(({ tps }) => tps))),
        shown(median(ratios(name))),
        `${shown(quantile(ratios(name), 0))} to ${shown(quantile(ratios(name), 1))}`,
        Number.isNaN(of(name)[0]?.notified)
          ? ''
          : percent(median(of(name).map(({ notified }) => notified))),
      ]),
    ),
  )
  return [
    ...others.map((name): Figure => ({
      what: `TPS of ${WRITERS} writers, ${name}, against everything alive`,
      value: median(ratios(name)),
      unit: '',
      budget: { atLeast: 0.95 },
    })),
    {
      what: `share of the commits of ${WRITERS} writers that notified, everything alive`,
      value: median(of(alive).map(({ notified }) => notified)),
      unit: '',
      budget: { atMost: 0.05 },
    },
  ]
}

const percent = (share: number) => `${shown(100 * share)} %`
