import type { Kysely } from 'kysely'
import { type Credentials, findCredentials } from '../../db/queries/log-in.ts'
import type { Database } from '../../db/schema.ts'
import { notFound } from '../../shared/errors.ts'
import type { PasswordAttempts } from './password-attempts.ts'

/** A user who confirms a change with their password, from where. */
export interface Confirmation {
  readonly userId: string
  readonly network: string
  readonly password: string
}

export interface ConfirmPasswordDeps {
  readonly db: Kysely<Database>
  readonly attempts: PasswordAttempts
}

/**
 * Returns the credentials of a user whose password is right; null where it is wrong. It runs before a
 * write's transaction, since no row is to stay locked for as long as a hash takes: the write compares
 * the hash again.
 * @throws PublicError as `PasswordAttempts` does, `not_found` for a user who does not exist.
 */
export function createConfirmPassword({
  db,
  attempts,
}: ConfirmPasswordDeps): (by: Confirmation) => Promise<Credentials | null> {
  return async ({ userId, network, password }) => {
    const credentials = await db
      .transaction()
      .setAccessMode('read only')
      .execute((trx) => findCredentials(trx, userId))
    if (!credentials) throw notFound('User', userId)
    return attempts.attempt({ username: credentials.username, network }, async () =>
      (await attempts.verify(password, credentials.password)) ? credentials : null,
    )
  }
}
