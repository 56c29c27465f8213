import { startApi } from '../api.ts'
import type { Bench } from '../bench.ts'
import { built } from '../build.ts'
import { startInvalidator } from '../invalidator.ts'
import { type Service, startService } from '../service.ts'

/** A cache that is compared: an HTTP server that loads both responses from Postgres. */
export interface System {
  readonly name: string
  readonly packages: readonly string[]
  readonly usesRedis: boolean
  /** The counter of its loads from Postgres. */
  readonly loadCounter: string
  /** Starts the processes that its servers share. */
  prepare(bench: Bench): Promise<unknown>
  /** Starts one server process. */
  start(bench: Bench): Promise<Service>
}

/** TTL of every entry in every system, longer than any measurement of one entry. */
const TTL_S = 300

/** This project. */
export const OURS: System = {
  name: 'SPMS API',
  packages: [],
  usesRedis: true,
  loadCounter: 'spms_cache_loads_total',
  prepare: startInvalidator,
  start: (bench) =>
    startApi(bench, true, {
      CACHE_TTL_OVERRIDES: `staff:profile=${TTL_S},user:projects=${TTL_S}`,
    }),
}

/** Returns all systems. `userId` is the user whose projects they send. */
export function findSystems(userId: string, readyPath: string): readonly System[] {
  const other = (
    name: string,
    source: string,
    packages: readonly string[],
    { usesRedis = true, env = {} }: { usesRedis?: boolean; env?: NodeJS.ProcessEnv } = {},
  ): System => ({
    name,
    packages,
    usesRedis,
    loadCounter: 'bench_loads_total',
    prepare: async () => {},
    async start({ servers, cores, onStop }) {
      const service = await startService(`bench/rivals/${source}`, {
        env: {
          DATABASE_URL: servers.databaseUrl,
          REDIS_URL: servers.redisUrl,
          LOADERS: built('bench/arms/loaders.ts'),
          USER_ID: userId,
          TTL_S: `${TTL_S}`,
          ...env,
        },
        cores: cores?.measured,
        ready: { path: readyPath },
      })
      onStop(() => service.stop())
      return service
    },
  })
  const bento = ['express', 'bentocache', 'ioredis']
  return [
    other('apicache, memory', 'apicache.mjs', ['express', 'apicache'], { usesRedis: false }),
    other('cache-manager, Redis', 'cache-manager.mjs', [
      'express',
      'cache-manager',
      'keyv',
      '@keyv/redis',
    ]),
    other('bentocache, L1 and L2', 'bentocache.mjs', bento, { env: { STORE: 'multitier' } }),
    other('bentocache, L2', 'bentocache.mjs', bento, { env: { STORE: 'redis' } }),
    other('async-cache-dedupe, Redis', 'async-cache-dedupe.mjs', [
      'fastify',
      'async-cache-dedupe',
      'ioredis',
    ]),
    OURS,
  ]
}
