import { type Kysely, sql } from 'kysely'
import type { Database } from '../schema.ts'

export interface LogInCandidate {
  readonly id: string
  readonly password: string
  readonly isActive: boolean
}

/**
 * Returns the user with this user name, or undefined. Names are compared by bytes, as in Django. Log-in
 * attempts are limited per name, so a collation must not match several names with one user.
 */
export const findLogInCandidate = (
  db: Kysely<Database>,
  username: string,
): Promise<LogInCandidate | undefined> =>
  db
    .selectFrom('users_user')
    .select(['id', 'password', 'is_active as isActive'])
    // The first condition uses the index.
    .where('username', '=', username)
    .where(sql<boolean>`username collate "C" = ${username}`)
    .executeTakeFirst()

/** User name and password hash, and the attributes that a new password must not resemble. */
export interface Credentials {
  readonly username: string
  readonly password: string
  readonly firstName: string | null
  readonly lastName: string | null
  readonly email: string | null
}

/** Returns the credentials of a user. */
export const findCredentials = (
  db: Kysely<Database>,
  userId: string,
): Promise<Credentials | undefined> =>
  db
    .selectFrom('users_user')
    .select(['username', 'password', 'first_name as firstName', 'last_name as lastName', 'email'])
    .where('id', '=', userId)
    .executeTakeFirst()
