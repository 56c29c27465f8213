import { type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'

// To avoid deadlocks, every write locks parents before children: users, projects, then rows that belong
// to them. Rows of one table are locked in the order of their ids.

/** Ids of users; nulls and users that do not exist are skipped. */
export type UserIds = readonly (string | null | undefined)[]

/** Locks users against deletion (FOR KEY SHARE), so that new rows can refer to them. */
export async function keepUsers(trx: Transaction<Database>, ids: UserIds): Promise<void> {
  await selectUsers(trx, ids).forKeyShare().execute()
}

/** Locks users against concurrent decisions (FOR NO KEY UPDATE). New rows can still refer to them. */
export async function lockUsers(trx: Transaction<Database>, ids: UserIds): Promise<void> {
  await selectUsers(trx, ids).forNoKeyUpdate().execute()
}

/** Locks users that will be deleted (FOR UPDATE), so that no new row can refer to them. */
export async function lockUsersWhole(trx: Transaction<Database>, ids: UserIds): Promise<void> {
  await selectUsers(trx, ids).forUpdate().execute()
}

const selectUsers = (trx: Transaction<Database>, ids: UserIds) =>
  trx
    .selectFrom('users_user')
    .select('id')
    .where(sql<boolean>`id = any(${ids}::bigint[])`)
    .orderBy('id')
