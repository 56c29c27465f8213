import { stateDir } from '../scripts/paths.ts'
import { startRedis } from '../scripts/servers/redis.ts'
import type { Bench, Part } from './bench.ts'
import { countFresh } from './comparison/freshness.ts'
import { measureOutage, type Phase } from './comparison/outage.ts'
import { installPackages } from './comparison/packages.ts'
import { CONCURRENT, countLoads } from './comparison/stampede.ts'
import { findSystems, OURS, type System } from './comparison/systems.ts'
import { findTargets, type Targets } from './comparison/target.ts'
import { measureThroughput } from './comparison/throughput.ts'
import { pin } from './cores.ts'
import { shown, shownRange } from './figure.ts'
import type { Service } from './service.ts'
import { median, quantile } from './statistics.ts'
import { createStops } from './stops.ts'
import { table } from './table.ts'

/** Measures other caches and this project with the same rows, responses and requests. */
export const comparison: Part = async (bench) => {
  const { servers, cores, print } = bench
  const versions = await installPackages(print)
  await using stops = createStops()
  const { onStop } = stops
  // Its own Redis, because the systems have keys of their own, without the prefix of this run.
  const redis = await startRedis({ stateDir, env: process.env, print })
  onStop(() => redis.stop())
  const own: Bench = { ...bench, servers: { ...servers, redisUrl: redis.url }, onStop }
  if (cores) {
    const clients = [process.pid, ...servers.pids]
    for (const pid of [...clients, redis.process.pid]) await pin(pid, cores.others)
    onStop(() => Promise.all(clients.map((pid) => pin(pid, cores.all))))
  }

  await OURS.prepare(own)
  const api = await OURS.start(own)
  const targets = await findTargets(own.servers, api)
  const systems = findSystems(targets.userId, targets.all[0]?.path ?? '')
  const running = new Map<System, Service>()
  for (const system of systems) {
    running.set(system, system === OURS ? api : await system.start(own))
  }

  await measureThroughput(own, running, targets)
  await printFreshness(own, running, targets)
  await printLoads(own, running, targets)
  await printOutages(bench, systems, targets)
  print(
    table(
      ['versions', ''],
      systems
        .filter(({ packages }) => packages.length > 0)
        .map(({ name, packages }) => [
          name,
          packages.map((one) => `${one} ${versions.get(one)}`).join(', '),
        ]),
    ),
  )
  return []
}

async function printFreshness(
  { servers, quick, print }: Bench,
  running: ReadonlyMap<System, Service>,
  targets: Targets,
): Promise<void> {
  const times = quick ? 3 : 20
  const options = { databaseUrl: servers.databaseUrl, times }
  const rows: string[][] = []
  for (const [system, service] of running) {
    print(`comparison: changes, ${system.name}`)
    const cells = []
    for (const target of targets.all) {
      const fresh = await countFresh(system, service, target, options)
      cells.push(`${fresh} of ${times}`)
    }
    rows.push([system.name, ...cells])
  }
  print(table(['fresh 100 ms after a commit', ...targets.all.map(({ name }) => name)], rows))
}

async function printLoads(
  bench: Bench,
  running: ReadonlyMap<System, Service>,
  { otherProfileIds }: Targets,
): Promise<void> {
  const times = bench.quick ? 3 : 7
  const [warmId = '', ...coldIds] = otherProfileIds
  const rows: string[][] = []
  for (const [system, service] of running) {
    bench.print(`comparison: concurrent requests, ${system.name}`)
    const second = await system.start(bench)
    let next = 0
    const measure = async (processes: readonly Service[]) => {
      const found: number[] = []
      for (let i = 0; i < times; i++) {
        const coldId = coldIds[next++] as string
        found.push(await countLoads(system, processes, { warmId, coldId }))
      }
      return [shown(median(found)), shownRange(found)]
    }
    rows.push([system.name, ...(await measure([service])), ...(await measure([service, second]))])
    await second.stop()
  }
  bench.print(
    table(
      [
        `loads for ${CONCURRENT} requests of a new entry`,
        '1 process',
        'of rounds',
        '2 processes',
        'of rounds',
      ],
      rows,
    ),
  )
}

async function printOutages(
  bench: Bench,
  systems: readonly System[],
  { otherProfileIds }: Targets,
): Promise<void> {
  const rows: string[][] = []
  for (const system of systems.filter(({ usesRedis }) => usesRedis)) {
    bench.print(`comparison: Redis is killed, ${system.name}`)
    const { before, without, restarted } = await measureOutage(bench, system, otherProfileIds)
    const row = (phase: string, { requests, failed, unanswered, ms }: Phase) => [
      `${system.name}, ${phase}`,
      `${requests}`,
      `${failed}`,
      `${unanswered}`,
      ...[0.5, 0.99, 1].map((share) => shown(quantile(ms, share))),
    ]
    rows.push(
      row('before', before),
      row('without Redis', without),
      row('after its restart', restarted),
    )
  }
  bench.print(
    table(
      ['Redis killed', 'requests', 'failed', 'no answer in 5 s', 'p50 ms', 'p99 ms', 'max ms'],
      rows,
    ),
  )
}
