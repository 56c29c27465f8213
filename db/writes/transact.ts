import { DatabaseError } from 'pg'
import type { Kysely, Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { transienceMessage, transienceOf } from '../event-log/index.ts'
import { WriteError, type WriteErrorReason } from './write-error.ts'

/**
 * Runs a write in one transaction.
 * @throws WriteError if the write is not permitted, or Postgres reports a transient error.
 */
export async function transact<T>(
  db: Kysely<Database>,
  work: (trx: Transaction<Database>) => Promise<T>,
): Promise<T> {
  try {
    return await db.transaction().execute(work)
  } catch (error) {
    throw toWriteError(error) ?? error
  }
}

// Writes check references in both directions. So these errors are caused by concurrent writers, or by
// tables that only some databases have.
const CONSTRAINT_ERRORS: Readonly<Record<string, readonly [WriteErrorReason, string]>> = {
  '23503': ['conflict', 'Other rows still refer to this one.'],
  '23505': ['conflict', 'Another row already has these values.'],
}

function toWriteError(error: unknown): WriteError | undefined {
  const transience = transienceOf(error)
  if (transience) {
    return new WriteError('unavailable', transienceMessage(transience), { cause: error })
  }
  const [reason, message] = CONSTRAINT_ERRORS[sqlStateOf(error) ?? ''] ?? []
  return reason && message ? new WriteError(reason, message, { cause: error }) : undefined
}

/** Returns the SQLSTATE of a Postgres error; undefined for other errors. */
export const sqlStateOf = (error: unknown) =>
  error instanceof DatabaseError ? error.code : undefined

/** Returns the name of the violated constraint, if Postgres reported one. */
export const constraintOf = (error: unknown) =>
  error instanceof DatabaseError ? error.constraint : undefined
