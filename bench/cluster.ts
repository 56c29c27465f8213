import { setTimeout as sleep } from 'node:timers/promises'
import { stateDir } from '../scripts/paths.ts'
import { findPgbench } from '../scripts/servers/load-programs.ts'
import { startRedis } from '../scripts/servers/redis.ts'
import { type Buckets, openBuckets } from '../shared/cache/index.ts'
import { startPrivateCluster } from '../tests/support/private-cluster.ts'
import { startApi } from './api.ts'
import { type Arm, GZIP } from './arms.ts'
import type { Bench, Part } from './bench.ts'
import { cpuBetween, readCpu } from './cpu.ts'
import { type Figure, shown, shownRange } from './figure.ts'
import { startInvalidator } from './invalidator.ts'
import { measureArms } from './measure-arms.ts'
import { LAST_WRITTEN_ID, runPgbench } from './pgbench.ts'
import { probe } from './probe.ts'
import { findProfileIds, profileKey, profilePath } from './profiles.ts'
import { cpuRatioOf, over } from './rounds.ts'
import type { Service } from './service.ts'
import { median, quantile } from './statistics.ts'
import { table } from './table.ts'
import { runWindows, type WindowTimes } from './windows.ts'

/** The two compared kinds of Redis. */
interface Kind {
  readonly name: 'one server' | 'three masters'
  readonly bench: Bench
  readonly buckets: Buckets
  readonly pids: readonly number[]
  readonly api: Service
}

type ArmName = `${'hit' | 'miss'}, ${Kind['name']}`

/** Measurements of one round of a kind. */
interface Round {
  readonly lagMs: readonly number[]
  /** Processor time per second, in ms. */
  readonly idleInvalidator: number
  readonly idleRedis: number
  readonly busyInvalidator: number
  readonly busyRedis: number
  readonly tps: number
}

const ERASE_EVERY_MS = 20
const PER_S = 200
const WRITERS = 16
const WARM_UP_MS = 10_000

/** Compares one Redis with a cluster of three masters, in the same rounds. */
export const cluster: Part = async (bench) => {
  const { quick, print } = bench
  const ids = await findProfileIds(bench.servers.databaseUrl)
  const kinds = [await openServer(bench), await openCluster(bench)]

  const windows = new Map<Kind['name'], WindowTimes>()
  for (const kind of kinds) {
    print(`cluster: windows, ${kind.name}`)
    const times = await runWindows(kind.bench.servers, {
      windows: quick ? 300 : 2000,
      drains: quick ? 3 : 7,
    })
    windows.set(kind.name, times)
  }
  printWindows(bench, windows)

  const invalidators = []
  for (const kind of kinds) invalidators.push(await startInvalidator(kind.bench))
  const arms = kinds.flatMap((kind) => armsOf(kind, ids))
  const hits = await measureArms(bench, 'cluster', arms)
  print(
    table(
      ['requests', 'requests/s', 'CPU us', 'x one server by CPU', 'as expected'],
      arms.map(({ name }) => [
        name,
        shown(over(hits, name, ({ perS }) => perS)),
        shown(over(hits, name, ({ cpuUs }) => cpuUs)),
        shown(cpuRatioOf(hits, name, `${name.startsWith('hit') ? 'hit' : 'miss'}, one server`)),
        `${Math.round(100 * over(hits, name, ({ asExpected }) => asExpected))} %`,
      ]),
    ),
  )
  for (const invalidator of invalidators) await invalidator.stop()

  const rounds = new Map<Kind['name'], Round[]>(kinds.map(({ name }) => [name, []]))
  for (let round = 0; round < (quick ? 2 : 7); round++) {
    print(`cluster: invalidators, round ${round + 1}`)
    for (const kind of round % 2 === 0 ? kinds : kinds.toReversed()) {
      rounds.get(kind.name)?.push(await measureRound(kind, ids, quick))
    }
  }
  printRounds(bench, rounds)
  print(table(['memory of Redis, MiB', ''], await Promise.all(kinds.map(describeMemory))))
  return figuresOf(windows, rounds)
}

async function openServer(bench: Bench): Promise<Kind> {
  const redis = await startRedis({ stateDir, env: process.env, print: bench.print })
  bench.onStop(() => redis.stop())
  return openKind(bench, 'one server', redis.url, [redis.process.pid])
}

async function openCluster(bench: Bench): Promise<Kind> {
  const started = await startPrivateCluster(undefined, { replicas: false })
  bench.onStop(async () => started[Symbol.asyncDispose]())
  return openKind(
    bench,
    'three masters',
    started.url,
    started.nodes.map(({ pid }) => pid),
  )
}

async function openKind(
  bench: Bench,
  name: Kind['name'],
  redisUrl: string,
  pids: readonly number[],
): Promise<Kind> {
  const own: Bench = { ...bench, servers: { ...bench.servers, redisUrl } }
  const buckets = openBuckets(redisUrl, bench.servers.prefix, {
    name: 'bench',
    commandTimeoutMs: 10_000,
    onState() {},
  })
  bench.onStop(async () => buckets[Symbol.dispose]())
  while (buckets.available < buckets.count) await sleep(10)
  return { name, bench: own, buckets, pids, api: await startApi(own, true) }
}

function armsOf({ name, api, buckets, bench }: Kind, ids: readonly string[]): Arm<ArmName>[] {
  const paths = ids.map(profilePath)
  const common = { service: api, paths, headers: GZIP }
  return [
    {
      ...common,
      name: `hit, ${name}`,
      expected: { resource: 'staff:profile', outcome: 'hit' },
      async prepare() {
        // Twice: a value is stored after its first response.
        for (let time = 0; time < 2; time++) {
          for (const path of paths) await (await fetch(`${api.origin}${path}`)).arrayBuffer()
        }
      },
    },
    {
      ...common,
      name: `miss, ${name}`,
      expected: { resource: 'staff:profile', outcome: 'miss' },
      meanwhile() {
        const eraser = setInterval(() => {
          for (const id of ids) {
            const key = profileKey(bench.servers.prefix, id)
            const bucket = buckets.bucketOf(key)
            void buckets.connectionOf(bucket)?.unlink(buckets.keyIn(bucket, key))
          }
        }, ERASE_EVERY_MS)
        return () => clearInterval(eraser)
      },
    },
  ]
}

async function measureRound(
  { bench, buckets, pids }: Kind,
  allIds: readonly string[],
  quick: boolean,
): Promise<Round> {
  const { servers } = bench
  const pgbench = await findPgbench({ stateDir, env: process.env, print: bench.print })
  // Excludes the profiles that the writers change, because these invalidate them too.
  const ids = allIds.filter((id) => +id > LAST_WRITTEN_ID)
  const invalidator = await startInvalidator(bench)
  const placeOf = (key: string) => {
    const bucket = buckets.bucketOf(key)
    const { host, port } = buckets.connectionOf(bucket)?.options ?? {}
    return { redisUrl: `redis://${host}:${port}`, key: buckets.keyIn(bucket, key) }
  }
  const at = (seconds: number) => probe({ ...servers, ids, perS: PER_S, seconds, placeOf })
  const seconds = quick ? 2 : 5
  await at(1)
  const use = async <T>(work: () => Promise<T>) => {
    const read = () => Promise.all([invalidator.pid, ...pids].map(readCpu))
    const before = await read()
    const result = await work()
    const after = await read()
    const perS = before.map((was, i) => {
      const is = after[i]
      if (!was || !is) return 0
      const { ranMs, overMs } = cpuBetween(was, is)
      return (1000 * ranMs) / overMs
    })
    const [ofInvalidator = 0, ...ofRedis] = perS
    return { result, ofInvalidator, ofRedis: ofRedis.reduce((sum, one) => sum + one, 0) }
  }
  // Until then it also compiles its code, and flushes what it found.
  await sleep(quick ? 1_000 : WARM_UP_MS)
  const idle = await use(() => sleep(seconds * 2_000))
  const busy = await use(() => at(seconds))
  const writer = { pgbench, url: servers.databaseUrl, clients: WRITERS }
  const tps = await runPgbench({ ...writer, seconds: quick ? 2 : 4 })
  await invalidator.stop()
  return {
    lagMs: busy.result,
    idleInvalidator: idle.ofInvalidator,
    idleRedis: idle.ofRedis,
    busyInvalidator: busy.ofInvalidator,
    busyRedis: busy.ofRedis,
    tps,
  }
}

function printWindows({ print }: Bench, windows: ReadonlyMap<Kind['name'], WindowTimes>): void {
  print(
    table(
      ['one window, ms', 'empty', 'of one event', 'of a backlog'],
      [...windows].map(([name, { emptyMs, singleMs, drainMs }]) => [
        name,
        ...[emptyMs, singleMs, drainMs].map((ms) => shown(median(ms))),
      ]),
    ),
  )
}

function printRounds({ print }: Bench, rounds: ReadonlyMap<Kind['name'], readonly Round[]>): void {
  const row = (name: string, all: readonly Round[]) => {
    const middle = (of: (round: Round) => number) => shown(median(all.map(of)))
    const p99 = all.map(({ lagMs }) => quantile(lagMs, 0.99))
    return [
      name,
      middle(({ lagMs }) => median(lagMs)),
      shown(median(p99)),
      shownRange(p99),
      middle((round) => round.idleInvalidator),
      middle((round) => round.idleRedis),
      middle((round) => round.busyInvalidator),
      middle((round) => round.busyRedis),
      middle(({ tps }) => tps),
    ]
  }
  print(
    table(
      [
        'invalidator',
        'lag p50 ms',
        'p99 ms',
        'of rounds',
        'idle, CPU ms/s',
        'Redis idle',
        `at ${PER_S} commits/s, CPU ms/s`,
        'Redis',
        `TPS of ${WRITERS} writers`,
      ],
      [...rounds].map(([name, all]) => row(name, all)),
    ),
  )
}

async function describeMemory({ name, buckets }: Kind): Promise<string[]> {
  const used = await Promise.all(
    buckets.servers.map(async (redis) =>
      Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]),
    ),
  )
  return [name, used.map((bytes) => shown(bytes / 2 ** 20)).join(', ')]
}

function figuresOf(
  windows: ReadonlyMap<Kind['name'], WindowTimes>,
  rounds: ReadonlyMap<Kind['name'], readonly Round[]>,
): Figure[] {
  const single = (name: Kind['name']) => median(windows.get(name)?.singleMs ?? [])
  const idle = (name: Kind['name']) =>
    median((rounds.get(name) ?? []).map((one) => one.idleInvalidator))
  const busyRatio = (of: (round: Round) => number) => {
    const middle = (name: Kind['name']) => median((rounds.get(name) ?? []).map(of))
    return middle('three masters') / middle('one server')
  }
  return [
    {
      what: 'a window of one event with three masters, against one server',
      value: single('three masters') / single('one server'),
      unit: '',
      budget: { atMost: 2 },
    },
    {
      what: `processor time of the invalidator at ${PER_S} commits/s, against one server`,
      value: busyRatio((one) => one.busyInvalidator),
      unit: '',
      budget: { atMost: 2 },
    },
    {
      what: 'heartbeats with three masters, share of a core more than with one server',
      value: (idle('three masters') - idle('one server')) / 1000,
      unit: '',
      budget: { atMost: 0.02 },
    },
  ]
}
