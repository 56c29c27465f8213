import { errorCode } from './error-code.ts'

/**
 * Kinds of transient Postgres errors, for which another attempt may succeed:
 * - `conflict`: a deadlock or a serialization failure; an immediate retry may succeed
 * - `locked`: another transaction held a lock on a row or table for too long
 * - `slow`: a statement or a transaction timed out or was cancelled
 * - `read-only`: the server accepts no writes, for example as a standby or during a failover
 * - `away`: the server starts, stops, has no free connection or memory, or ended the session
 */
export type Transience = 'conflict' | 'locked' | 'slow' | 'read-only' | 'away'

const STATES: Readonly<Record<string, Transience>> = {
  '40001': 'conflict',
  '40P01': 'conflict',
  '55P03': 'locked',
  // statement_timeout, pg_cancel_backend() and, on a standby, a conflict with recovery.
  '57014': 'slow',
  // idle_in_transaction_session_timeout and transaction_timeout end the session too.
  '25P03': 'slow',
  '25P04': 'slow',
  '25006': 'read-only',
  // out_of_memory and too_many_connections.
  '53200': 'away',
  '53300': 'away',
  // pg_terminate_backend() and a shutdown, a crash, a start, idle_session_timeout.
  '57P01': 'away',
  '57P02': 'away',
  '57P03': 'away',
  '57P05': 'away',
}

/** Class 08: the connection failed. */
const CONNECTION_FAILED = /^08[\dA-Z]{3}$/

/**
 * Classifies an error by its SQLSTATE. Reads, writes and error responses all use this one list.
 * Returns undefined for a permanent error.
 */
export function transienceOf(error: unknown): Transience | undefined {
  const code = errorCode(error)
  if (code === undefined) return undefined
  return CONNECTION_FAILED.test(code) ? 'away' : STATES[code]
}

const MESSAGES: Readonly<Record<Transience, string>> = {
  conflict: 'Too many edits at once.',
  locked: 'Too many edits at once.',
  slow: 'The database is too slow.',
  'read-only': 'The database accepts no changes now.',
  away: 'The database cannot be reached. Try again soon.',
}

/** Returns the problem detail that clients receive for a transient error. */
export const transienceMessage = (transience: Transience): string => MESSAGES[transience]
