import { type Kysely, sql } from 'kysely'
import type { Database } from '../schema.ts'

export interface LogInCandidate {
  readonly id: string
  readonly password: string
  readonly isActive: boolean
}

/**
 * The user of that name. Names are compared by their bytes, as Django's `=` does under the collations that
 * it makes: attempts are limited per name, and no collation may turn several names into one user.
 */
export const findLogInCandidate = (
  db: Kysely<Database>,
  username: string,
): Promise<LogInCandidate | undefined> =>
  db
    .selectFrom('users_user')
    .select(['id', 'password', 'is_active as isActive'])
    // The first line uses the index.
    .where('username', '=', username)
    .where(sql<boolean>`username collate "C" = ${username}`)
    .executeTakeFirst()

/** What a user logs in with, and what their password must not be similar to. */
export interface Credentials {
  readonly username: string
  readonly password: string
  readonly firstName: string | null
  readonly lastName: string | null
  readonly email: string | null
}

/** The name, the password hash and the attributes of a user. */
export const findCredentials = (
  db: Kysely<Database>,
  userId: string,
): Promise<Credentials | undefined> =>
  db
    .selectFrom('users_user')
    .select(['username', 'password', 'first_name as firstName', 'last_name as lastName', 'email'])
    .where('id', '=', userId)
    .executeTakeFirst()
