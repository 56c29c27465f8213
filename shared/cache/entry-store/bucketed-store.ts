import type { Buckets } from '../redis/buckets.ts'
import type { Redis } from '../redis/redis.ts'
import {
  createEntryStore,
  type EntryField,
  type EntryStore,
  type EntryStoreOptions,
  StoreUnavailable,
} from './entry-store.ts'
import type { StoreMetrics } from './metrics.ts'

export interface BucketedStoreOptions extends Omit<
  EntryStoreOptions,
  'prefix' | 'polledState' | 'onMoved'
> {
  /** Called when the first bucket can be used, and when the last one no longer can. */
  readonly onState?: (usable: boolean) => void
}

/**
 * Creates an entry store whose entries are in buckets.
 *
 * Each bucket has a store of its own, bound to the connection of its server: watermark and entry come from
 * the same server over the same connection, in order. When the bucket moves, its store is replaced, and
 * what was polled goes with it. A bucket that is not available fails alone.
 */
export function createBucketedStore(
  buckets: Buckets,
  { metrics, onState, ...options }: BucketedStoreOptions,
): EntryStore & Disposable {
  const bound: (BoundStore | null)[] = Array.from({ length: buckets.count }, () => null)
  const usable = new Set<number>()
  const openBreakers = new Set<number>()

  function setUsable(bucket: number, isUsable: boolean): void {
    const before = usable.size
    if (isUsable) usable.add(bucket)
    else usable.delete(bucket)
    if (before > 0 !== usable.size > 0) onState?.(usable.size > 0)
  }

  function bind(bucket: number, connection: Redis | null): void {
    bound[bucket]?.store[Symbol.dispose]()
    setUsable(bucket, false)
    openBreakers.delete(bucket)
    metrics?.breakerOpen.set(openBreakers.size > 0 ? 1 : 0)
    bound[bucket] = connection && {
      connection,
      store: createEntryStore(connection, {
        ...options,
        prefix: buckets.prefixOf(bucket),
        onState: (isUsable) => setUsable(bucket, isUsable),
        onMoved: buckets.refresh,
        ...(metrics && { metrics: sharing(metrics, openBreakers, bucket) }),
      }),
    }
  }

  function bindAll(): void {
    for (const [bucket, now] of bound.entries()) {
      const connection = buckets.connectionOf(bucket)
      if (connection !== (now?.connection ?? null)) bind(bucket, connection)
    }
  }
  const removeListener = buckets.onChange(bindAll)
  bindAll()

  // A read asks for the same key several times.
  let lastKey = ''
  let lastBucket = buckets.bucketOf(lastKey)
  function bucketOf(key: string): number {
    if (key !== lastKey) {
      lastBucket = buckets.bucketOf(key)
      lastKey = key
    }
    return lastBucket
  }

  function storeOf(key: string): { readonly store: EntryStore; readonly bucket: number } {
    const bucket = bucketOf(key)
    const store = bound[bucket]?.store
    if (store === undefined) throw new StoreUnavailable('the server of the bucket is not known')
    return { store, bucket }
  }
  const placed = (bucket: number, field: EntryField): EntryField => ({
    ...field,
    key: buckets.keyIn(bucket, field.key),
  })

  return {
    now: (key) => storeOf(key).store.now(key),
    watermark: (resource, key) => bound[bucketOf(key)]?.store.watermark(resource, key) ?? null,
    states: (resource) =>
      bound.flatMap((one) => one?.store.states(resource) ?? { mark: null, nowMs: null }),
    async find(field, budget) {
      const { store, bucket } = storeOf(field.key)
      return store.find(placed(bucket, field), budget)
    },
    async lease(field, ...rest) {
      const { store, bucket } = storeOf(field.key)
      return store.lease(placed(bucket, field), ...rest)
    },
    async fill(field, ...rest) {
      const { store, bucket } = storeOf(field.key)
      return store.fill(placed(bucket, field), ...rest)
    },
    async release(field, leaseId) {
      const { store, bucket } = storeOf(field.key)
      return store.release(placed(bucket, field), leaseId)
    },
    [Symbol.dispose]() {
      removeListener()
      for (const one of bound) one?.store[Symbol.dispose]()
    },
  }
}

interface BoundStore {
  readonly connection: Redis
  readonly store: EntryStore & Disposable
}

/** Metrics of one bucket's store. The breaker counts as open while that of any bucket is. */
const sharing = (metrics: StoreMetrics, open: Set<number>, bucket: number): StoreMetrics => ({
  ...metrics,
  breakerOpen: {
    set(value: number) {
      if (value === 0) open.delete(bucket)
      else open.add(bucket)
      metrics.breakerOpen.set(open.size > 0 ? 1 : 0)
    },
  },
})
