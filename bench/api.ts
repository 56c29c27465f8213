import type { Bench } from './bench.ts'
import { type Service, startService } from './service.ts'

/** Starts our API on a core of its own, with nothing between it and the load. */
export async function startApi(
  { servers, cores, onStop }: Bench,
  cached: boolean,
): Promise<Service> {
  const api = await startService('api/main.ts', {
    env: {
      DATABASE_URL: servers.databaseUrl,
      REDIS_URL: servers.redisUrl,
      CACHE_PREFIX: servers.prefix,
      CACHE_ENABLED: `${cached}`,
      RATE_LIMIT_PER_S: '0',
      SESSION_SECRETS: 'a secret of the bench that guards nothing',
    },
    cores: cores?.measured,
    ready: { path: '/readyz' },
  })
  onStop(() => api.stop())
  return api
}
