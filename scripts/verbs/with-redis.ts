import { once } from 'node:events'
import { ConfigurationError } from '../../shared/errors.ts'
import { explainRedisError, openRedis, type Redis } from '../../shared/cache/index.ts'

const TIMEOUT_MS = 5_000

/**
 * Runs `work` with a connection to Redis.
 * @throws ConfigurationError if Redis does not answer within 5 s.
 */
export async function withRedis<T>(url: string, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = openRedis(url, {
    name: 'spms-cli',
    commandTimeoutMs: TIMEOUT_MS,
    onState: () => undefined,
  })
  try {
    await once(redis, 'ready', { signal: AbortSignal.timeout(TIMEOUT_MS) }).catch(
      (error: Error) => {
        const reason = error.name === 'AbortError' ? '' : `: ${explainRedisError(error).message}`
        throw new ConfigurationError(`REDIS_URL: Redis does not answer${reason}`)
      },
    )
    return await work(redis)
  } finally {
    redis.disconnect()
  }
}
