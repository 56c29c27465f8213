import type { Buckets } from '../redis/buckets.ts'
import { slotOf } from '../redis/bucket.ts'
import type { Redis } from '../redis/redis.ts'
import { createInvalidationStore, type InvalidationStore } from './invalidation-store.ts'

/** The invalidation stores of a key prefix: one for each bucket. */
export interface InvalidationStores extends Pick<Buckets, 'count' | 'bucketOf' | 'keyIn'> {
  /** Returns the store of a bucket. @throws Error while its server is not known or not connected. */
  at(bucket: number): InvalidationStore
  /** Requests the servers of the buckets again, as after a reply that a slot has moved. */
  refresh(): void
}

/** Creates the stores of all buckets. A bucket that moves gets another store, on its new server. */
export function createInvalidationStores(buckets: Buckets): InvalidationStores {
  const bound: ({ readonly connection: Redis; readonly store: InvalidationStore } | undefined)[] =
    []
  return {
    count: buckets.count,
    bucketOf: buckets.bucketOf,
    keyIn: buckets.keyIn,
    refresh: buckets.refresh,
    at(bucket) {
      const connection = buckets.connectionOf(bucket)
      if (connection === null) throw new Error('the server of a bucket is not known')
      // Without a cluster the command itself fails, with the cause.
      if (buckets.count > 1 && connection.status !== 'ready') {
        throw new Error('the server of a bucket is not connected')
      }
      const known = bound[bucket]
      if (known?.connection === connection) return known.store
      const slot = buckets.count > 1 ? slotOf(bucket) : undefined
      const store = createInvalidationStore(connection, buckets.prefixOf(bucket), slot)
      bound[bucket] = { connection, store }
      return store
    },
  }
}
