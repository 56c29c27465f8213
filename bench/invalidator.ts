import type { Bench } from './bench.ts'
import { type Service, startService } from './service.ts'

/** Starts the invalidator on the database with triggers. */
export async function startInvalidator(
  { servers, onStop }: Bench,
  env: NodeJS.ProcessEnv = {},
): Promise<Service> {
  const invalidator = await startService('invalidator/main.ts', {
    env: {
      DATABASE_URL: servers.databaseUrl,
      REDIS_URL: servers.redisUrl,
      CACHE_PREFIX: servers.prefix,
      ...env,
    },
    ready: 'metrics',
  })
  onStop(() => invalidator.stop())
  return invalidator
}
