import { once } from 'node:events'
import { openRedis, type Redis } from '../../shared/cache/index.ts'
import { testRedisUrl } from './invalidator.ts'

/** Opens a client of a Redis, by default that of the test run, and waits until it is connected. */
export async function openTestClient(url = testRedisUrl()): Promise<Redis> {
  const redis = openRedis(url, { name: 'spms-test', commandTimeoutMs: 5_000, onState: () => {} })
  if (redis.status !== 'ready') await once(redis, 'ready')
  return redis
}
