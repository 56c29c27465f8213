import type { Kysely } from 'kysely'
import { type Credentials, findCredentials } from '../../db/queries/log-in.ts'
import type { Database } from '../../db/schema.ts'
import { notFound } from '../../shared/errors.ts'
import type { PasswordAttempts } from './password-attempts.ts'

/** A user's password that confirms a change. */
export interface Confirmation {
  readonly userId: string
  /** The client's IPv4 address or IPv6 /64. */
  readonly network: string
  readonly password: string
}

export interface ConfirmPasswordDeps {
  readonly db: Kysely<Database>
  readonly attempts: PasswordAttempts
}

/**
 * Returns a function that verifies a password and returns the user's credentials; null if it is wrong. Call it
 * before the transaction of a write, so that no row stays locked while the password is hashed. The
 * write must compare the stored hash again.
 * @throws PublicError as `PasswordAttempts` does; `not_found` if the user does not exist.
 */
export function createConfirmPassword({
  db,
  attempts,
}: ConfirmPasswordDeps): (by: Confirmation) => Promise<Credentials | null> {
  return ({ userId, network, password }) => {
    const find = async () => {
      const credentials = await db
        .transaction()
        .setAccessMode('read only')
        .execute((trx) => findCredentials(trx, userId))
      return credentials ?? Promise.reject(notFound('User', userId))
    }
    return attempts.attempt(
      { network, find, nameOf: ({ username }) => username },
      async (credentials) =>
        (await attempts.verify(password, credentials.password)) ? credentials : null,
    )
  }
}
