import type { Logger } from 'winston'
import { backOffMs } from '../db/event-log/index.ts'
import { hasMoved, type InvalidationStores } from '../shared/cache/index.ts'

/** Which buckets of a cluster failed, and when each is tried again. */
export interface BucketHealth {
  /** Whether a bucket may be used now. */
  isDue(bucket: number): boolean
  fail(bucket: number, error: unknown): void
  succeed(bucket: number): void
  /** Number of buckets that failed last. */
  readonly failing: number
  readonly lastError: unknown
}

const RETRY_FIRST_MS = 50
const RETRY_MAX_MS = 1_000

/** Logs the first failure and the recovery of all buckets. */
export function createBucketHealth({
  stores,
  logger,
}: {
  readonly stores: Pick<InvalidationStores, 'count' | 'refresh'>
  readonly logger: Logger
}): BucketHealth {
  const failed = new Map<number, { readonly failures: number; readonly retryAtMs: number }>()
  let lastError: unknown
  return {
    isDue: (bucket) => (failed.get(bucket)?.retryAtMs ?? 0) <= performance.now(),
    fail(bucket, error) {
      lastError = error
      if (hasMoved(error)) stores.refresh()
      if (failed.size === 0) logger.warn('buckets of Redis are not available', { bucket, error })
      const failures = (failed.get(bucket)?.failures ?? 0) + 1
      const retryAtMs = performance.now() + backOffMs(failures, RETRY_FIRST_MS, RETRY_MAX_MS)
      failed.set(bucket, { failures, retryAtMs })
    },
    succeed(bucket) {
      if (!failed.delete(bucket) || failed.size > 0) return
      logger.info('all buckets of Redis are available again')
    },
    get failing() {
      return failed.size
    },
    get lastError() {
      return lastError
    },
  }
}
