import { DatabaseError } from 'pg'
import type { Kysely, Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { transienceMessage, transienceOf } from '../transient-states.ts'
import { WriteError, type WriteErrorReason } from './write-error.ts'

/**
 * Runs a write in one transaction.
 * @throws WriteError when it must not be done, or when Postgres would not do it now.
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

// Writes check what they refer to and what refers to them, so these come from rows that they cannot
// know of: another writer's, or a table that only this database has.
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

/** The SQLSTATE of what Postgres reported; undefined for any other failure. */
export const sqlStateOf = (error: unknown) =>
  error instanceof DatabaseError ? error.code : undefined

/** The constraint that a row would have broken, where Postgres named it. */
export const constraintOf = (error: unknown) =>
  error instanceof DatabaseError ? error.constraint : undefined
