import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Redis } from 'ioredis'
import { Client } from 'pg'
import { stateDir } from '../../scripts/paths.ts'
import { type PostgresServer, startPostgres } from '../../scripts/servers/postgres.ts'
import { startRedis } from '../../scripts/servers/redis.ts'
import type { Bench } from '../bench.ts'
import { findProfileIds } from '../profiles.ts'
import { fillEntries, findEntries } from '../scale/entries.ts'
import { createSeededDatabase } from '../seeded-database.ts'

/** A database of one size, and a Redis with all its possible keys. */
export interface World {
  readonly scale: number
  /** Starts processes on these servers, on any core. */
  readonly bench: Bench
  readonly redis: Redis
  readonly redisPid: number
  /** Returns the backend processes of the connections to this database with a name. */
  backends(name: string): Promise<readonly number[]>
  readonly profileIds: readonly string[]
  readonly keys: number
  /** Creates the missing keys again, and restarts the TTL of all. */
  refill(): Promise<void>
}

const NAME = 'bench-growth'

/** Opens a world for each scale, on one Postgres. */
export async function openWorlds(bench: Bench, scales: readonly number[]): Promise<World[]> {
  const { print, onStop } = bench
  const postgres = await startPostgres({ stateDir, name: NAME, durable: true, print })
  onStop(async () => {
    await postgres.stop()
    await rm(dirname(postgres.dataDir), { recursive: true, force: true })
    await rm(join(stateDir, `${NAME}.log`), { force: true })
  })
  const worlds: World[] = []
  for (const scale of scales) worlds.push(await openWorld(bench, postgres, scale))
  return worlds
}

async function openWorld(bench: Bench, postgres: PostgresServer, scale: number): Promise<World> {
  const { print, onStop } = bench
  print(`growth: creating ${scale} times the ordinary data`)
  const databaseUrl = await createSeededDatabase(postgres, scale)
  const server = await startRedis({ stateDir, env: process.env, print })
  onStop(() => server.stop())
  const servers = { ...bench.servers, databaseUrl, redisUrl: server.url }
  const redis = new Redis(server.url)
  onStop(async () => redis.disconnect())
  await redis.config('SET', 'maxmemory', '0')
  const keys = [...(await findEntries(servers)).keys()]
  return {
    scale,
    bench: { ...bench, servers, cores: null },
    redis,
    redisPid: server.process.pid,
    backends: (name) => findBackends(databaseUrl, name),
    profileIds: await findProfileIds(databaseUrl),
    keys: keys.length,
    refill: () => fillEntries(redis, keys),
  }
}

async function findBackends(url: string, name: string): Promise<number[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ pid: number }>(
      `select pid from pg_stat_activity
       where datname = current_database() and application_name like $1 and pid <> pg_backend_pid()`,
      [`${name}%`],
    )
    return rows.map(({ pid }) => pid)
  } finally {
    await client.end()
  }
}
