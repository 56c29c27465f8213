import { type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'

// Every write locks parents before children: users, then projects, then what belongs to them, and
// of one table in the order of ids. So no two of them wait for each other.

/** Ids of users; nulls and users who do not exist are left out. */
export type UserIds = readonly (string | null | undefined)[]

/** Keeps users from being deleted before the commit, for rows that are to refer to them. */
export async function keepUsers(trx: Transaction<Database>, ids: UserIds): Promise<void> {
  await selectUsers(trx, ids).forKeyShare().execute()
}

/** Lets one write at a time decide what concerns these users; rows may go on referring to them. */
export async function lockUsers(trx: Transaction<Database>, ids: UserIds): Promise<void> {
  await selectUsers(trx, ids).forNoKeyUpdate().execute()
}

/** Locks users who are to be deleted: no row can begin to refer to them, and then they are gone. */
export async function lockUsersWhole(trx: Transaction<Database>, ids: UserIds): Promise<void> {
  await selectUsers(trx, ids).forUpdate().execute()
}

const selectUsers = (trx: Transaction<Database>, ids: UserIds) =>
  trx
    .selectFrom('users_user')
    .select('id')
    .where(sql<boolean>`id = any(${ids}::bigint[])`)
    .orderBy('id')
