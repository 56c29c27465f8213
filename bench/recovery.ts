import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { install } from '../db/event-log/index.ts'
import { migrate } from '../db/migrate.ts'
import { stateDir } from '../scripts/paths.ts'
import { seed } from '../scripts/seed/seed.ts'
import { startPostgres } from '../scripts/servers/postgres.ts'
import { startRedis } from '../scripts/servers/redis.ts'
import { compileRules } from '../shared/cache/index.ts'
import { catalog } from '../shared/resources/index.ts'
import { untilChangeApplied } from './applied.ts'
import type { Bench, Part } from './bench.ts'
import { shown } from './figure.ts'
import { startInvalidator } from './invalidator.ts'
import type { Service } from './service.ts'
import { runStatement } from './statement.ts'
import { median, quantile } from './statistics.ts'
import { table } from './table.ts'

const NAME = 'bench-recovery'
/** Time in which two replicas distribute the resources between them. */
const SHARED_OUT_MS = 3_000

/** Measures the time from a fault, or from the return of a server, until all earlier commits are applied. */
export const recovery: Part = async (bench) => {
  const { print, onStop, quick } = bench
  const open = { stateDir, name: NAME, durable: true, print }
  let postgres = await startPostgres(open)
  let redis = await startRedis({ stateDir, env: process.env, print })
  onStop(async () => {
    await redis.stop()
    await postgres.stop()
    await rm(dirname(postgres.dataDir), { recursive: true, force: true })
    await rm(join(stateDir, `${NAME}.log`), { force: true })
  })
  const { port } = postgres
  await runStatement(postgres.url, 'create database spms')
  const databaseUrl = postgres.urlOf('spms')
  await migrate(databaseUrl)
  await seed(databaseUrl, { scale: 0.1 })
  await install(databaseUrl, compileRules(catalog))
  const own: Bench = {
    ...bench,
    servers: { ...bench.servers, databaseUrl, redisUrl: redis.url },
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
    /** Number of invalidators. */
    readonly replicas: number
    /** Causes the fault. The measurement starts when it resolves. */
    inject(invalidators: readonly Service[]): Promise<unknown>
  }
  const faults: readonly Fault[] = [
    { name: 'none', replicas: 1, inject: () => Promise.resolve() },
    {
      name: 'invalidator killed, another one runs',
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
      name: 'invalidator suspended, another one runs',
      replicas: 2,
      inject: async ([first]) => void process.kill(first?.pid ?? 0, 'SIGSTOP'),
    },
    {
      name: 'connections of the invalidator cut',
      replicas: 1,
      inject: () =>
        runStatement(
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
        redis = await startRedis({ stateDir, env: process.env, port: redis.port, print })
      },
    },
  ]

  const rows: string[][] = []
  for (const { name, replicas, inject } of faults) {
    print(`recovery: ${name}`)
    const found: number[] = []
    for (let round = 0; round < (quick ? 1 : 5); round++) {
      const invalidators = await Promise.all(Array.from({ length: replicas }, start))
      await untilChangeApplied(own.servers)
      if (replicas > 1) await sleep(SHARED_OUT_MS)
      await inject(invalidators)
      found.push(await untilChangeApplied(own.servers))
      await stopAll()
    }
    rows.push([name, shown(median(found)), shown(quantile(found, 1))])
  }
  print(table(['until every commit is applied, ms', 'median', 'max'], rows))
  return []
}
