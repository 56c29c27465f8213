import type { Instruments } from '../instruments.ts'
import type { Redis } from './redis.ts'

/** Registers metrics of a connection to Redis: whether it is up, and how often it failed. */
export function measureRedis(redis: Redis, { counter, reading }: Instruments): void {
  reading('redis_up', 'Whether this process is connected to Redis', () => [
    [{}, redis.status === 'ready' ? 1 : 0],
  ])
  const failures = counter(
    'redis_connection_failures_total',
    'Connections to Redis that were lost or could not be opened',
  )
  redis.on('close', () => {
    // `end` means that this process closed the connection.
    if (redis.status !== 'end') failures.inc()
  })
}
