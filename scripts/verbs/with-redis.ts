import { setTimeout as sleep } from 'node:timers/promises'
import { ConfigurationError } from '../../shared/errors.ts'
import { type Buckets, explainRedisError, openBuckets } from '../../shared/cache/index.ts'

const TIMEOUT_MS = 5_000
/** Wait for the rest of a cluster of which some buckets are available. */
const REST_MS = 2_000

/**
 * Runs `work` with connections to Redis. Of a cluster some buckets may be unavailable: this is printed.
 * @throws ConfigurationError if Redis does not answer within 5 s.
 */
export async function withRedis<T>(
  url: string,
  prefix: string,
  work: (buckets: Buckets) => Promise<T>,
): Promise<T> {
  let lastError: Error | undefined
  const buckets = openBuckets(url, prefix, {
    name: 'spms-cli',
    commandTimeoutMs: TIMEOUT_MS,
    onState: (_, error) => (lastError = error ?? lastError),
  })
  try {
    const available = await untilAvailable(buckets, TIMEOUT_MS, REST_MS)
    if (available === 0) {
      const reason = lastError === undefined ? '' : `: ${explainRedisError(lastError).message}`
      throw new ConfigurationError(`REDIS_URL: Redis does not answer${reason}`)
    }
    if (available < buckets.count) {
      console.log(`${buckets.count - available} of ${buckets.count} buckets are not available`)
    }
    return await work(buckets)
  } finally {
    buckets[Symbol.dispose]()
  }
}

/** Waits until all buckets are available, or some after `restMs`. Returns how many are after `timeoutMs`. */
export async function untilAvailable(
  buckets: Buckets,
  timeoutMs: number,
  restMs: number,
): Promise<number> {
  const startedAtMs = performance.now()
  for (;;) {
    const { available, count } = buckets
    const ms = performance.now() - startedAtMs
    if (available === count || ms > timeoutMs || (available > 0 && ms > restMs)) return available
    await sleep(10)
  }
}
