import type { Bench } from './bench.ts'
import { type Service, startService } from './service.ts'

/** Signs the sessions of the bench, and guards nothing. */
export const BENCH_SECRET = 'a secret of the bench that guards nothing'

/** Starts our API on a core of its own, with nothing between it and the load; `env` is added to its own. */
export async function startApi(
  { servers, cores, onStop }: Bench,
  cached: boolean,
  env: NodeJS.ProcessEnv = {},
): Promise<Service> {
  const api = await startService('api/main.ts', {
    env: {
      DATABASE_URL: servers.databaseUrl,
      REDIS_URL: servers.redisUrl,
      CACHE_PREFIX: servers.prefix,
      CACHE_ENABLED: `${cached}`,
      RATE_LIMIT_PER_S: '0',
      // As many as the hashes of the seed have, so that a log-in replaces none.
      PASSWORD_ITERATIONS: '1000',
      SEARCHES_PER_MINUTE: '0',
      EXPORTS_PER_MINUTE: '0',
      SESSION_SECRETS: BENCH_SECRET,
      ...env,
    },
    cores: cores?.measured,
    ready: { path: '/readyz' },
  })
  onStop(() => api.stop())
  return api
}
