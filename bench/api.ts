import type { Bench } from './bench.ts'
import { type Service, startService } from './service.ts'

/** Signs the sessions of the benchmark. */
export const BENCH_SECRET = 'a secret of the bench that guards nothing'

/** Starts the API on its own core, without rate limits. `env` overrides its environment. */
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
      // The iterations of the seed's hashes, so that a log-in does not rehash a password.
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
