import { bulkhead, BulkheadRejectedError } from 'cockatiel'
import { PublicError } from '../../shared/errors.ts'
import { throttled } from './problem.ts'
import { createTokenBuckets } from './token-buckets.ts'

/** A search or a list, and an export of everything. */
export type ExpensiveRead = 'search' | 'export'

/** Keeps expensive reads from slowing all others. */
export interface ExpensiveReads {
  /** Counts an expensive read of a user. @throws PublicError `throttled` beyond the user's limit. */
  count(userId: string, read: ExpensiveRead): void
  /**
   * Runs a part of an expensive read when it is its turn.
   * @throws PublicError `unavailable` if too many parts wait.
   */
  run<T>(work: () => Promise<T>): Promise<T>
}

export interface ExpensiveReadOptions {
  /** Reads of each kind that a user may start in a minute, in one process; 0 disables a limit. */
  readonly searchesPerMinute: number
  readonly exportsPerMinute: number
  /** Parts that run at the same time in one process, and that may wait. */
  readonly atOnce: number
  readonly queue: number
}

/** The part of a minute's number that may come at once. */
const BURST = 1 / 3

export function createExpensiveReads(options: ExpensiveReadOptions): ExpensiveReads {
  const takers = {
    search: takerOf(options.searchesPerMinute),
    export: takerOf(options.exportsPerMinute),
  }
  const limiter = bulkhead(options.atOnce, options.queue)
  return {
    count(userId, read) {
      const waitMs = takers[read](userId)
      if (waitMs > 0) throw throttled(waitMs)
    },
    async run(work) {
      try {
        return await limiter.execute(work)
      } catch (error) {
        if (!(error instanceof BulkheadRejectedError)) throw error
        throw new PublicError('unavailable', 'The server is busy.', { retryAfterS: 1 })
      }
    },
  }
}

function takerOf(perMinute: number): (userId: string) => number {
  if (perMinute === 0) return () => 0
  const buckets = createTokenBuckets({
    perS: perMinute / 60,
    burst: Math.max(1, Math.round(perMinute * BURST)),
  })
  return (userId) => buckets.take(userId)
}
