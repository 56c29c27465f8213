import { once } from 'node:events'
import { ConfigurationError } from '../../shared/errors.ts'
import { explainRedisError, openRedis, type Redis } from '../../shared/redis.ts'

const PATIENCE_MS = 5_000

/** Lends a connection for as long as some work takes. @throws when Redis does not answer. */
export async function withRedis<T>(url: string, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = openRedis(url, {
    name: 'spms-cli',
    commandTimeoutMs: PATIENCE_MS,
    onState: () => undefined,
  })
  try {
    await once(redis, 'ready', { signal: AbortSignal.timeout(PATIENCE_MS) }).catch(
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
