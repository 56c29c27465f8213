import { bulkhead, BulkheadRejectedError } from 'cockatiel'
import type { PublicError } from './errors.ts'

/** Runs work as soon as a slot is free. */
export type Limiter = <T>(work: () => Promise<T>) => Promise<T>

/**
 * Limits how much work runs concurrently in this process, and how much waits in a queue.
 * @throws the error of `rejection` if the queue is full.
 */
export function createLimiter(
  atOnce: number,
  queue: number,
  rejection: () => PublicError,
): Limiter {
  const slots = bulkhead(atOnce, queue)
  return (work) =>
    slots.execute(work).catch((error: unknown) => {
      throw error instanceof BulkheadRejectedError ? rejection() : error
    })
}
