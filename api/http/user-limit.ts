import { throttled } from './problem.ts'
import { createTokenBuckets } from './token-buckets.ts'

/** What costs Postgres much: a search or a list, and an export of everything. */
export type ExpensiveRead = 'search' | 'export'

/** Counts an expensive read of a user. @throws PublicError `throttled` beyond the limit. */
export type UserLimit = (userId: string, read: ExpensiveRead) => void

/** How many of each kind a user may start in a minute, in one process; 0 turns a limit off. */
export interface UserLimitOptions {
  readonly searchesPerMinute: number
  readonly exportsPerMinute: number
}

/** The part of a minute's number that may come at once. */
const BURST = 1 / 3

export function createUserLimit({
  searchesPerMinute,
  exportsPerMinute,
}: UserLimitOptions): UserLimit {
  const takers = { search: takerOf(searchesPerMinute), export: takerOf(exportsPerMinute) }
  return (userId, read) => {
    const waitMs = takers[read](userId)
    if (waitMs > 0) throw throttled(waitMs)
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
