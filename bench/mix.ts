import { Client } from 'pg'
import { BENCH_SECRET, startApi } from './api.ts'
import type { Bench, Part } from './bench.ts'
import { createClient } from './client.ts'
import { type Figure, shown } from './figure.ts'
import { startInvalidator } from './invalidator.ts'
import { openLoop } from './open-loop.ts'
import { residentBytes, treeCpuMs } from './processes.ts'
import type { Service } from './service.ts'
import { quantile } from './statistics.ts'
import { table } from './table.ts'
import { openWorkload, type Visitors } from './workload.ts'

const PER_S = 150
const CONNECTIONS = 1_000
/** Requests before the measurement, so that it starts with a warm cache. */
const WARM_REQUESTS = { uncached: 500, cached: 20_000 }
const WARM_AT_ONCE = 8
const MEBIBYTE = 1024 * 1024

/** Replays a realistic mix of requests with and without a cache, and measures the savings. */
export const mix: Part = async (bench) => {
  const { quick, print } = bench
  const seconds = quick ? 10 : 60
  print(`mix: ${PER_S} requests a second, without a cache and with it`)

  const without = await startApi(bench, false)
  const uncached = await replay(bench, without, seconds, WARM_REQUESTS.uncached)
  await without.stop()

  const invalidator = await startInvalidator(bench)
  const api = await startApi(bench, true)
  const cached = await replay(bench, api, seconds, WARM_REQUESTS.cached)
  const ofFrontEnd = await replay(bench, api, seconds, WARM_REQUESTS.cached, 'front end')
  const crowd = await crowded(bench, api, quick ? 5 : 20)
  await api.stop()
  await invalidator.stop()

  const row = (name: string, run: Replay) => [
    name,
    ...[0.5, 0.95, 0.99].map((share) => shown(quantile(run.ms, share))),
    shown(run.transactions / seconds),
    `${shown(100 * run.databaseShare)} %`,
    Number.isNaN(run.hitRate) ? '' : `${shown(100 * run.hitRate)} %`,
    `${shown((100 * run.hits) / run.ms.length)} %`,
  ]
  print(
    table(
      [
        'mix',
        'p50 ms',
        'p95 ms',
        'p99 ms',
        'transactions/s',
        'database, of one core',
        'hits of cached resources',
        'hits of all requests',
      ],
      [
        row('without a cache', uncached),
        row('with it', cached),
        row('the front end, with it', ofFrontEnd),
      ],
    ),
  )
  print(
    table(
      ['connections', 'MiB before', 'MiB with them', 'p99 ms'],
      [
        [
          `${CONNECTIONS}`,
          shown(crowd.beforeBytes / MEBIBYTE),
          shown(crowd.bytes / MEBIBYTE),
          shown(quantile(crowd.ms, 0.99)),
        ],
      ],
    ),
  )
  const saved = 1 - cached.transactions / uncached.transactions
  const figure = (what: string, value: number, budget: Figure['budget'], note: string) =>
    ({ what: `mix, ${what}`, value, unit: '', budget, note }) as const
  return [
    figure('hit rate', cached.hitRate, { atLeast: 0.95 }, 'of cached resources; ADR: above 0.7'),
    figure(
      'transactions saved in the database',
      saved,
      null,
      'searches and the invalidator included; ADR: 0.4 to 0.6 of the queries',
    ),
    figure(
      'loads saved for cached resources',
      1 - cached.loads / cached.reads,
      { atLeast: 0.95 },
      'ADR: 0.4 to 0.6 of the queries',
    ),
    figure(
      'hits of the front end',
      ofFrontEnd.hits / ofFrontEnd.ms.length,
      { atLeast: 0.9 },
      'of all its requests',
    ),
    {
      ...figure('p95 with the cache', quantile(cached.ms, 0.95), null, 'ADR: below 10 ms'),
      unit: 'ms',
    },
    figure('database, of one core', cached.databaseShare, { atMost: 0.5 }, 'ADR: below half'),
  ]
}

interface Replay {
  readonly ms: readonly number[]
  /** Share of the reads of cached resources. */
  readonly hitRate: number
  /** Requests that were answered from the cache. */
  readonly hits: number
  readonly reads: number
  readonly loads: number
  readonly transactions: number
  /** CPU time of Postgres divided by the elapsed time, so 1 is one full core. */
  readonly databaseShare: number
}

async function replay(
  { servers }: Bench,
  api: Service,
  seconds: number,
  warmRequests: number,
  visitors?: Visitors,
): Promise<Replay> {
  const [postgres] = servers.pids
  await using workload = await openWorkload(servers.databaseUrl, BENCH_SECRET, visitors)
  await using counter = await openCounter(servers.databaseUrl)
  using client = createClient(api.origin)
  const visit = async () => {
    const next = await workload.next()
    if (next && (await client.askForHit(next.path, next.headers))) hits++
    return next !== null
  }
  let hits = 0
  let left = warmRequests
  const warm = async () => {
    while (left-- > 0) await visit()
  }
  await Promise.all(Array.from({ length: WARM_AT_ONCE }, warm))

  const measure = async () => ({
    hits: await api.count('spms_cache_reads_total', { outcome: 'hit' }),
    reads: await api.count('spms_cache_reads_total'),
    loads: await api.count('spms_cache_loads_total'),
    transactions: await counter.transactions(),
    cpuMs: postgres === undefined ? Number.NaN : await treeCpuMs(postgres),
    atMs: performance.now(),
  })
  const before = await measure()
  hits = 0
  const ms = await openLoop({ perS: PER_S, seconds }, visit)
  const after = await measure()
  const reads = after.reads - before.reads
  return {
    ms,
    reads,
    hits,
    hitRate: (after.hits - before.hits) / reads,
    loads: after.loads - before.loads,
    transactions: after.transactions - before.transactions,
    databaseShare: (after.cpuMs - before.cpuMs) / (after.atMs - before.atMs),
  }
}

/** Runs the mix over many persistent connections that are mostly idle. */
async function crowded({ servers }: Bench, api: Service, seconds: number) {
  const beforeBytes = await residentBytes(api.pid)
  await using workload = await openWorkload(servers.databaseUrl, BENCH_SECRET)
  using client = createClient(api.origin, CONNECTIONS)
  await Promise.all(
    Array.from({ length: CONNECTIONS }, () => client.ask('/api/v1/users/staffprofiles?page=1')),
  )
  const ms = await openLoop({ perS: PER_S, seconds }, async () => {
    const visit = await workload.next()
    if (visit) await client.ask(visit.path, visit.headers)
    return visit !== null
  })
  return { ms, beforeBytes, bytes: await residentBytes(api.pid) }
}

/** Counts the transactions of a database. */
async function openCounter(url: string) {
  const client = new Client({ connectionString: url })
  await client.connect()
  return {
    async transactions() {
      const { rows } = await client.query<{ count: string }>(
        `select xact_commit + xact_rollback as count from pg_stat_database
         where datname = current_database()`,
      )
      return Number(rows[0]?.count)
    },
    [Symbol.asyncDispose]: () => client.end(),
  }
}
