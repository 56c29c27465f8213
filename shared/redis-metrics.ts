import type { Instruments } from './instruments.ts'
import type { Redis } from './redis.ts'

/** Tells whether a process has its Redis, and how often it was lost or not to be had. */
export function measureRedis(redis: Redis, { counter, reading }: Instruments): void {
  reading('spms_redis_up', 'Whether this process is connected to Redis', () => [
    [{}, redis.status === 'ready' ? 1 : 0],
  ])
  const failures = counter(
    'spms_redis_connection_failures_total',
    'Connections that were lost or could not be made',
  )
  redis.on('close', () => {
    // `end` is our own doing.
    if (redis.status !== 'end') failures.inc()
  })
}
