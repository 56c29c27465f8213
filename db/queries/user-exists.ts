import { type Kysely, sql } from 'kysely'
import type { Database } from '../schema.ts'

/** Whether a user with this e-mail address exists, ignoring case. */
export const isEmailTaken = (trx: Kysely<Database>, email: string): Promise<boolean> =>
  exists(trx, sql<boolean>`lower(email) = lower(${email})`)

/** Whether a user with this user name exists. */
export const isUsernameTaken = (trx: Kysely<Database>, username: string): Promise<boolean> =>
  exists(trx, sql<boolean>`username = ${username}`)

/** Whether a user with this first and last name exists, ignoring case. */
export const isNameTaken = (trx: Kysely<Database>, first: string, last: string): Promise<boolean> =>
  exists(
    trx,
    sql<boolean>`lower(first_name) = lower(${first}) and lower(last_name) = lower(${last})`,
  )

async function exists(
  trx: Kysely<Database>,
  condition: ReturnType<typeof sql<boolean>>,
): Promise<boolean> {
  const found = await trx
    .selectFrom('users_user')
    .select('id')
    .where(condition)
    .limit(1)
    .executeTakeFirst()
  return found !== undefined
}
