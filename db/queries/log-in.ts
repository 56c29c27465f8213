import { type Kysely, sql } from 'kysely'
import type { Database } from '../schema.ts'

export interface LogInCandidate {
  readonly id: string
  readonly password: string
  readonly isActive: boolean
  /** False: nobody has the name, and this is another user, whose hash costs as much to verify. */
  readonly isNamed: boolean
}

/**
 * The user of that name; without a usable one somebody else's hash, so that both take as long.
 * Names are compared by their bytes: attempts are limited per name, and no collation may turn
 * several names into one user.
 */
export function findLogInCandidate(
  db: Kysely<Database>,
  username: string,
): Promise<LogInCandidate | undefined> {
  const candidates = db
    .selectFrom('users_user')
    .select([
      'id',
      'password',
      'is_active as isActive',
      sql<boolean>`username collate "C" = ${username}`.as('isNamed'),
    ])
    .where(sql<boolean>`password collate "C" like 'pbkdf2\\_sha256$%'`)
  return candidates
    .where('username', '=', username)
    .where(sql<boolean>`username collate "C" = ${username}`)
    .unionAll((eb) => eb.parens(candidates.orderBy('id', 'desc').limit(1)))
    .orderBy('isNamed', 'desc')
    .limit(1)
    .executeTakeFirst()
}

/** What somebody who is logged in logs in with. */
export interface Credentials {
  readonly username: string
  readonly password: string
}

/** The name and the password hash of a user. */
export const findCredentials = (
  db: Kysely<Database>,
  userId: string,
): Promise<Credentials | undefined> =>
  db
    .selectFrom('users_user')
    .select(['username', 'password'])
    .where('id', '=', userId)
    .executeTakeFirst()

/** Notes when a user last logged in, as Django does. */
export async function recordLogIn(db: Kysely<Database>, userId: string): Promise<void> {
  await db
    .updateTable('users_user')
    .set({ last_login: new Date() })
    .where('id', '=', userId)
    .execute()
}
