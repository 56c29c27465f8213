/**
 * Why Postgres did not do some work now, although another attempt may succeed:
 * - `conflict`: it lost a deadlock or a serialization conflict; an attempt at once may succeed
 * - `locked`: a row or a table stayed locked by others for too long
 * - `slow`: a statement or a transaction took too long, or was cancelled
 * - `read-only`: the server accepts no writes, as a standby or during a failover
 * - `away`: the server starts, stops, is full, or ended the session
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
 * Reads the SQLSTATE of an error. This list is the only one: reads, writes and their answers use it.
 * Undefined for any other failure, which another attempt would meet again.
 */
export function transienceOf(error: unknown): Transience | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (typeof code !== 'string') return undefined
  return CONNECTION_FAILED.test(code) ? 'away' : STATES[code]
}

const MESSAGES: Readonly<Record<Transience, string>> = {
  conflict: 'Too many edits at once.',
  locked: 'Too many edits at once.',
  slow: 'The database is too slow.',
  'read-only': 'The database accepts no changes now.',
  away: 'The database cannot be reached. Try again soon.',
}

/** What a client is told of work that was not done now. */
export const transienceMessage = (transience: Transience): string => MESSAGES[transience]
