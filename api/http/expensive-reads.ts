import { PublicError } from '../../shared/errors.ts'
import { createLimiter, type Limiter } from '../../shared/limiter.ts'
import { throttled } from './problem.ts'
import { createTokenBuckets } from './token-buckets.ts'

/** `search` is a search or a list; `export` returns all rows. */
export type ExpensiveRead = 'search' | 'export'

/** Limits expensive reads, so that they do not slow down other reads. */
export interface ExpensiveReads {
  /**
   * Counts an expensive read of a user.
   * @throws PublicError `throttled` if the user exceeds the limit.
   */
  count(userId: string, read: ExpensiveRead): void
  /**
   * Runs a part of an expensive read as soon as a slot is free.
   * @throws PublicError `unavailable` if the queue is full.
   */
  readonly run: Limiter
}

export interface ExpensiveReadOptions {
  /** Reads of each kind that a user may start per minute and process; 0 disables a limit. */
  readonly searchesPerMinute: number
  readonly exportsPerMinute: number
  /** Maximum number of parts that run concurrently in one process, and of parts in the queue. */
  readonly atOnce: number
  readonly queue: number
}

/** Size of a burst, as a share of the limit per minute. */
const BURST = 1 / 3

export function createExpensiveReads(options: ExpensiveReadOptions): ExpensiveReads {
  const limits = {
    search: limitOf(options.searchesPerMinute),
    export: limitOf(options.exportsPerMinute),
  }
  return {
    count(userId, read) {
      const waitMs = limits[read](userId)
      if (waitMs > 0) throw throttled(waitMs)
    },
    run: createLimiter(
      options.atOnce,
      options.queue,
      () => new PublicError('unavailable', 'The server is busy.', { retryAfterS: 1 }),
    ),
  }
}

function limitOf(perMinute: number): (userId: string) => number {
  if (perMinute === 0) return () => 0
  const buckets = createTokenBuckets({
    perS: perMinute / 60,
    burst: Math.max(1, Math.round(perMinute * BURST)),
  })
  return (userId) => buckets.take(userId)
}
