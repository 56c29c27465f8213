import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Redis } from 'ioredis'
import { install } from '../db/event-log/index.ts'
import { migrate } from '../db/migrate.ts'
import { stateDir } from '../scripts/paths.ts'
import { type SeedSummary, seed } from '../scripts/seed/seed.ts'
import { startPostgres } from '../scripts/servers/postgres.ts'
import { startRedis } from '../scripts/servers/redis.ts'
import type { Print } from '../scripts/servers/print.ts'
import { compileRules } from '../shared/cache/index.ts'
import { catalog } from '../shared/resources/index.ts'
import { runStatement } from './statement.ts'

/** The databases and the key prefix of a run, and their servers. */
export interface Servers {
  /** A seeded database with triggers. */
  readonly databaseUrl: string
  /** The same seeded database without triggers. */
  readonly bareUrl: string
  readonly redisUrl: string
  readonly prefix: string
  readonly seeded: SeedSummary
  /** Server processes of this run. They must not use the core of the measured process. */
  readonly pids: readonly number[]
}

export interface ServersOptions {
  readonly env: NodeJS.ProcessEnv
  readonly print: Print
  readonly onStop: (stop: () => Promise<unknown>) => void
}

/** Starts Postgres and Redis, or uses those of `DATABASE_URL` and `REDIS_URL` without touching existing rows or keys. */
export async function openServers({ env, print, onStop }: ServersOptions): Promise<Servers> {
  const pids: number[] = []
  const postgresUrl = env.DATABASE_URL || (await startOwnPostgres())
  const redisUrl = env.REDIS_URL || (await startOwnRedis())
  const name = `spms_bench_${process.pid}`
  const prefix = `spms-bench-${process.pid}`
  onStop(() => removeKeys(redisUrl, prefix))

  print('creating two seeded databases, one of them with triggers')
  const bareUrl = await createDatabase(`${name}_bare`)
  await migrate(bareUrl)
  const seeded = await seed(bareUrl)
  const databaseUrl = await createDatabase(name, `${name}_bare`)
  await install(databaseUrl, compileRules(catalog))
  return { databaseUrl, bareUrl, redisUrl, prefix, seeded, pids }

  async function startOwnPostgres(): Promise<string> {
    const postgres = await startPostgres({ stateDir, name: 'bench-postgres', durable: true, print })
    onStop(async () => {
      await postgres.stop()
      await rm(dirname(postgres.dataDir), { recursive: true, force: true })
      await rm(join(stateDir, 'bench-postgres.log'), { force: true })
    })
    pids.push(postgres.process.pid)
    return postgres.url
  }

  async function startOwnRedis(): Promise<string> {
    const redis = await startRedis({ stateDir, env, print })
    onStop(() => redis.stop())
    pids.push(redis.process.pid)
    return redis.url
  }

  async function createDatabase(database: string, template = 'template0'): Promise<string> {
    await runStatement(postgresUrl, `create database ${database} template ${template}`)
    onStop(() => runStatement(postgresUrl, `drop database if exists ${database} with (force)`))
    const url = new URL(postgresUrl)
    url.pathname = `/${database}`
    return url.href
  }
}

async function removeKeys(url: string, prefix: string): Promise<void> {
  const redis = new Redis(url)
  try {
    for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1000 })) {
      if (keys.length > 0) await redis.unlink(...(keys as string[]))
    }
  } finally {
    redis.disconnect()
  }
}
