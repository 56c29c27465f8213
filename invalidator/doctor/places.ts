import type { Buckets, Redis } from '../../shared/cache/index.ts'

/** A server of Redis, and the first part of the keys of one bucket that it has. */
export interface ServerPlace {
  readonly redis: Redis
  readonly prefix: string
}

/** Returns each connected server once. */
export function placesOf(buckets: Buckets): readonly ServerPlace[] {
  const places = new Map<Redis, ServerPlace>()
  for (let bucket = 0; bucket < buckets.count; bucket++) {
    const redis = buckets.connectionOf(bucket)
    if (redis?.status !== 'ready' || places.has(redis)) continue
    places.set(redis, { redis, prefix: buckets.prefixOf(bucket) })
  }
  return [...places.values()]
}
