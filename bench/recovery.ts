import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { Client } from 'pg'
import { install } from '../db/event-log/install.ts'
import { covers, parseSnapshot, type Snapshot } from '../db/event-log/snapshot.ts'
import { migrate } from '../db/migrate.ts'
import { stateDir } from '../scripts/paths.ts'
import { seed } from '../scripts/seed/seed.ts'
import { startPostgres } from '../scripts/servers/postgres.ts'
import { startRedis } from '../scripts/servers/redis.ts'
import { compileRules } from '../shared/cache/compile.ts'
import { watermarkKey } from '../shared/cache/key.ts'
import { decodeWatermark } from '../shared/cache/watermark.ts'
import { catalog } from '../shared/resources/index.ts'
import type { Bench, Part } from './bench.ts'
import { shown } from './figure.ts'
import { startInvalidator } from './invalidator.ts'
import type { Service } from './service.ts'
import { median, quantile } from './statistics.ts'
import { table } from './table.ts'

const NAME = 'bench-recovery'
const LOST_MS = 60_000
/** By then two replicas have shared out the resources. */
const SHARED_OUT_MS = 3_000

/** How long after a fault, or after the server is back, everything committed by then is applied. */
export const recovery: Part = async (bench) => {
  const { say, onStop, quick } = bench
  const open = { stateDir, name: NAME, durable: true, say }
  let postgres = await startPostgres(open)
  let redis = await startRedis({ stateDir, env: process.env, say })
  onStop(async () => {
    await redis.stop()
    await postgres.stop()
    await rm(dirname(postgres.dataDir), { recursive: true, force: true })
    await rm(join(stateDir, `${NAME}.log`), { force: true })
  })
  const { port } = postgres
  await runOn(postgres.url, 'create database spms')
  const databaseUrl = postgres.urlOf('spms')
  await migrate(databaseUrl)
  await seed(databaseUrl, { scale: 0.1 })
  await install(databaseUrl, compileRules(catalog))
  const own: Bench = {
    ...bench,
    servers: { ...bench.servers, databaseUrl, redisUrl: redis.url },
  }
  const { prefix } = own.servers

  /** Commits a change, and answers with the milliseconds until every resource's watermark is past it. */
  async function untilApplied(): Promise<number> {
    const startedMs = performance.now()
    const client = new Client({ connectionString: databaseUrl })
    const marks = new Redis(own.servers.redisUrl)
    try {
      await client.connect()
      await client.query('update users_publicstaffprofile set expertise = $1 where id = 1', [
        `recovery ${startedMs}`,
      ])
      const committed = await look(client)
      for (;;) {
        const stored = await marks.hgetall(watermarkKey(prefix))
        const { life } = await look(client)
        const isApplied = catalog.every(({ name }) => {
          const mark = decodeWatermark(stored[name] ?? null)
          return mark?.incarnation === life && covers(mark.snapshot, committed.snapshot)
        })
        if (isApplied) return performance.now() - startedMs
        if (performance.now() - startedMs > LOST_MS) throw new Error('not applied within a minute')
        await sleep(2)
      }
    } finally {
      marks.disconnect()
      await client.end()
    }
  }

  const starts: Promise<Service>[] = []
  function start(): Promise<Service> {
    const starting = startInvalidator(own)
    starts.push(starting)
    return starting
  }
  async function stopAll(): Promise<void> {
    for (const service of await Promise.all(starts.splice(0))) await service.stop('SIGKILL')
  }

  interface Fault {
    readonly name: string
    /** How many invalidators there are. */
    readonly replicas: number
    /** The clock starts when this has ended. */
    inject(invalidators: readonly Service[]): Promise<unknown>
  }
  const faults: readonly Fault[] = [
    { name: 'none', replicas: 1, inject: () => Promise.resolve() },
    {
      name: 'invalidator killed, another one lives',
      replicas: 2,
      inject: async ([first]) => first?.stop('SIGKILL'),
    },
    {
      name: 'invalidator killed, another one is started',
      replicas: 1,
      async inject([only]) {
        await only?.stop('SIGKILL')
        // Its start is part of the recovery.
        void start()
      },
    },
    {
      name: 'invalidator stands still, another one lives',
      replicas: 2,
      inject: async ([first]) => void process.kill(first?.pid ?? 0, 'SIGSTOP'),
    },
    {
      name: 'connections of the invalidator cut',
      replicas: 1,
      inject: () =>
        runOn(
          postgres.url,
          `select pg_terminate_backend(pid) from pg_stat_activity
           where application_name like 'spms-invalidator%'`,
        ),
    },
    {
      name: 'Postgres restarted, from when it answers',
      replicas: 1,
      async inject() {
        await postgres.stop()
        postgres = await startPostgres({ ...open, port })
      },
    },
    {
      name: 'Postgres crashed, from when it answers',
      replicas: 1,
      async inject() {
        await postgres.process.stop('SIGKILL')
        postgres = await startPostgres({ ...open, port })
      },
    },
    {
      name: 'Redis lost, from when it answers',
      replicas: 1,
      async inject() {
        await redis.kill()
        redis = await startRedis({ stateDir, env: process.env, port: redis.port, say })
      },
    },
  ]

  const rows: string[][] = []
  for (const { name, replicas, inject } of faults) {
    say(`recovery: ${name}`)
    const found: number[] = []
    for (let round = 0; round < (quick ? 1 : 5); round++) {
      const invalidators = await Promise.all(Array.from({ length: replicas }, start))
      await untilApplied()
      if (replicas > 1) await sleep(SHARED_OUT_MS)
      await inject(invalidators)
      found.push(await untilApplied())
      await stopAll()
    }
    rows.push([name, shown(median(found)), shown(quantile(found, 1))])
  }
  say(table(['until every commit is applied, ms', 'median', 'max'], rows))
  return []
}

async function look(client: Client): Promise<{ snapshot: Snapshot; life: string | null }> {
  const { rows } = await client.query<{ snapshot: string; life: string | null }>(
    `select pg_current_snapshot()::text as snapshot, (select id from invalidation.life) as life`,
  )
  return {
    snapshot: parseSnapshot(rows[0]?.snapshot ?? '') as Snapshot,
    life: rows[0]?.life ?? null,
  }
}

async function runOn(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query(statement)
  await client.end()
}
