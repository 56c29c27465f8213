import type { Instruments } from '../instruments.ts'
import type { Buckets } from './buckets.ts'
import type { Redis } from './redis.ts'

/** Registers metrics of the connections to Redis: which part of the keys can be reached, and how often one failed. */
export function measureRedis(buckets: Buckets, { counter, reading }: Instruments): void {
  reading(
    'redis_up',
    'Share of the keys whose Redis is connected: 0 or 1 without a cluster',
    () => [[{}, buckets.available / buckets.count]],
  )
  const failures = counter(
    'redis_connection_failures_total',
    'Connections to Redis that were lost or could not be opened',
  )
  const known = new WeakSet<Redis>()
  const watch = () => {
    for (const redis of buckets.servers) {
      if (known.has(redis)) continue
      known.add(redis)
      redis.on('close', () => {
        // `end` means that this process closed the connection.
        if (redis.status !== 'end') failures.inc()
      })
    }
  }
  buckets.onChange(watch)
  watch()
}
