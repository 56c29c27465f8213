import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Redis } from 'ioredis'
import { stateDir } from '../scripts/paths.ts'
import { startPostgres } from '../scripts/servers/postgres.ts'
import { startRedis } from '../scripts/servers/redis.ts'
import { keyGlob, keyMatcher } from '../shared/cache/index.ts'
import { catalog } from '../shared/resources/index.ts'
import { BENCH_SECRET, startApi } from './api.ts'
import type { Bench, Part } from './bench.ts'
import { createClient } from './client.ts'
import { findEverything } from './everything.ts'
import { shown } from './figure.ts'
import { startInvalidator } from './invalidator.ts'
import { residentBytes } from './processes.ts'
import { createSeededDatabase } from './seeded-database.ts'
import { quantile } from './statistics.ts'
import { table } from './table.ts'

const NAME = 'bench-sizing'
/** Multiples of the ordinary size. */
const SCALES = [1, 10]
const AT_ONCE = 6
const MEBIBYTE = 2 ** 20
/** TTLs that are long enough to keep every entry until the end of the measurement. */
const LASTING = catalog.map(({ name }) => `${name}=3600`).join()

/** Measures the size of Redis when everything is cached, for the ordinary size and ten times as much. */
export const sizing: Part = async (bench) => {
  const { print, onStop, quick } = bench
  const postgres = await startPostgres({ stateDir, name: NAME, durable: false, print })
  onStop(async () => {
    await postgres.stop()
    await rm(dirname(postgres.dataDir), { recursive: true, force: true })
    await rm(join(stateDir, `${NAME}.log`), { force: true })
  })
  for (const scale of quick ? SCALES.slice(0, 1) : SCALES) {
    print(`sizing: ${scale} times the ordinary size`)
    const databaseUrl = await createSeededDatabase(postgres, scale)
    const redis = await startRedis({ stateDir, env: process.env, print })
    onStop(() => redis.stop())
    await measure(bench, databaseUrl, redis.url)
    await redis.stop()
  }
  return []
}

async function measure(bench: Bench, databaseUrl: string, redisUrl: string): Promise<void> {
  const servers = { ...bench.servers, databaseUrl, redisUrl }
  const redis = new Redis(redisUrl)
  const usedBytes = async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
  try {
    await redis.config('SET', 'maxmemory', '0')
    const emptyBytes = await usedBytes()
    const invalidator = await startInvalidator({ ...bench, servers })
    const api = await startApi({ ...bench, servers }, true, { CACHE_TTL_OVERRIDES: LASTING })
    await requestEverything(databaseUrl, api.origin)
    const allBytes = (await usedBytes()) - emptyBytes
    const found = await findEntries(redis, servers.prefix)
    const resident = await Promise.all([api, invalidator].map(({ pid }) => residentBytes(pid)))
    await api.stop()
    await invalidator.stop()
    bench.print(
      table(
        ['in Redis', 'entries', 'bytes each', 'largest', 'MiB'],
        [
          ...[...found].map(([name, sizes]) => {
            const sum = sizes.reduce((total, bytes) => total + bytes, 0)
            return [
              name,
              `${sizes.length}`,
              shown(sum / sizes.length),
              shown(quantile(sizes, 1)),
              shown(sum / MEBIBYTE),
            ]
          }),
          ['all, as Redis counts it', '', '', '', shown(allBytes / MEBIBYTE)],
        ],
      ),
    )
    bench.print(
      table(
        ['MiB of', 'API', 'invalidator'],
        [['resident', ...resident.map((bytes) => shown(bytes / MEBIBYTE))]],
      ),
    )
  } finally {
    redis.disconnect()
  }
}

async function requestEverything(databaseUrl: string, origin: string): Promise<void> {
  const visits = (await findEverything(databaseUrl, BENCH_SECRET)).values()
  using client = createClient(origin)
  const walk = async () => {
    for (const { path, headers } of visits) await client.ask(path, headers)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, walk))
}

/** Returns the memory of each entry in Redis, by resource. */
async function findEntries(redis: Redis, prefix: string): Promise<Map<string, number[]>> {
  const kinds = catalog.map((resource) => ({
    name: resource.name,
    matcher: keyMatcher(prefix, resource),
  }))
  const keys = new Set<string>()
  for await (const page of redis.scanStream({ match: keyGlob(prefix), count: 1_000 })) {
    for (const key of page as string[]) keys.add(key)
  }
  const found = new Map<string, number[]>()
  for (const key of keys) {
    const name = kinds.find(({ matcher }) => matcher.test(key))?.name
    if (name === undefined) continue
    const sizes = found.get(name) ?? []
    sizes.push(Number(await redis.memory('USAGE', key, 'SAMPLES', 0)))
    found.set(name, sizes)
  }
  return found
}
