import { type Expression, type Kysely, sql } from 'kysely'
import type { Database } from '../schema.ts'

export interface LogInCandidate {
  readonly id: string
  readonly username: string
  readonly password: string
  readonly isActive: boolean
}

/**
 * Returns the user with this user name, or else the user with this e-mail address; undefined if there is
 * none. User names are compared by bytes, as in Django. The case of ASCII letters of an address is ignored
 * if no other user has the same name or address in another case.
 *
 * All names are found by one scan of the table, so that the duration is the same whether they exist or not.
 */
export async function findLogInCandidate(
  db: Kysely<Database>,
  name: string,
): Promise<LogInCandidate | undefined> {
  const isEmail = sql<boolean>`${folded(sql.ref('email'))} = ${folded(name)}`
  const { rows } = await sql<Named>`
    select id, username, email, password, is_active as "isActive",
      coalesce(${isEmail}, false) as "isEmail"
    from users_user
    where ${folded(sql.ref('username'))} = ${folded(name)} or ${isEmail}
  `.execute(db)
  const [only, ...others] = rows
  return (
    rows.find(({ username }) => username === name) ??
    rows.find(({ email }) => email === name) ??
    (others.length === 0 && only?.isEmail ? only : undefined)
  )
}

/** A user whose user name or address is the given name, if case is ignored. */
interface Named extends LogInCandidate {
  readonly email: string | null
  /** Whether the address is the given name, if case is ignored. */
  readonly isEmail: boolean
}

// The collation "C" compares bytes, and knows the case of ASCII letters only.
const folded = (text: Expression<string> | string) =>
  sql<string>`lower((${text})::text collate "C")`

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
