import { requestFlush, resourcesOf, untilFlushed } from '../../invalidator/index.ts'
import { bareKey, createInvalidationStores } from '../../shared/cache/index.ts'
import { ConfigurationError } from '../../shared/errors.ts'
import { catalog } from '../../shared/resources/index.ts'
import type { Discovered } from '../servers/discover.ts'
import { withRedis } from './with-redis.ts'

const TIMEOUT_MS = 15_000

/**
 * Flushes the resources that a name, a key or a pattern matches, and waits for the invalidators.
 * @throws ConfigurationError if no resource matches, or if the flush takes longer than 15 s.
 */
export async function runFlush(
  { databaseUrl, redisUrl }: Discovered,
  prefix: string,
  what: string,
): Promise<void> {
  const names = resourcesOf(catalog, prefix, what)
  if (names.length === 0) {
    throw new ConfigurationError(
      `no cached resource matches ${what}; resources are ${catalog.map(({ name }) => name).join(', ')}`,
    )
  }
  const requested = await requestFlush(databaseUrl, 'spms-flush', bareKey(prefix, what))
  console.log(`requested: ${names.join(', ')}`)
  if (redisUrl === undefined) return
  await withRedis(redisUrl, prefix, async (buckets) => {
    const stores = createInvalidationStores(buckets)
    if (await untilFlushed(stores, names, requested, TIMEOUT_MS)) return
    throw new ConfigurationError(
      `not flushed within ${TIMEOUT_MS / 1000} s: is an invalidator running? See npm run spms -- status`,
    )
  })
  console.log('flushed')
}
