import { sql, type Transaction } from 'kysely'
import type { Database } from '../schema.ts'

const LOCK_TIMEOUT_MS = 1_000

/** A log-in with two hashes of its password: the verified one, and the one to be stored. */
export interface LogInRecord {
  readonly userId: string
  readonly from: string
  readonly to: string
}

/**
 * Stores the time of the log-in, like Django, and the new hash. Without a new hash it waits for no other
 * write of the user. Returns false if another transaction holds the row, or if the password was changed
 * in the meantime.
 */
export async function recordLogIn(
  trx: Transaction<Database>,
  { userId, from, to }: LogInRecord,
): Promise<boolean> {
  // Two log-ins may replace the same hash, and the second waits for the first.
  if (to !== from) await sql.raw(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`).execute(trx)
  const row = trx
    .selectFrom('users_user')
    .select('id')
    .where('id', '=', userId)
    .where(sql<boolean>`password collate "C" = ${from}`)
    .forNoKeyUpdate()
  const free = to === from ? row.skipLocked() : row
  const { numUpdatedRows } = await trx
    .updateTable('users_user')
    .set({ last_login: new Date(), ...(to !== from && { password: to }) })
    .where('id', 'in', free)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}
