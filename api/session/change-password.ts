import type { Kysely } from 'kysely'
import { findCredentials } from '../../db/queries/log-in.ts'
import type { Database } from '../../db/schema.ts'
import { replacePassword } from '../../db/writes/password.ts'
import { transact } from '../../db/writes/transact.ts'
import { notFound, PublicError } from '../../shared/errors.ts'
import type { PasswordAttempts } from './password-attempts.ts'

/** Who wants another password, from where. */
export interface PasswordRequest {
  readonly userId: string
  readonly network: string
  readonly oldPassword: string
  readonly newPassword: string
}

export interface ChangePasswordDeps {
  readonly db: Kysely<Database>
  readonly attempts: PasswordAttempts
}

/**
 * Changes a password, which ends every session of the user: a session says which hash it was for.
 * @throws PublicError `invalid` when the old one is wrong, `throttled` after too many failures,
 * `unavailable` while too many others wait. @throws Refusal as `replacePassword` does.
 */
export function createChangePassword({
  db,
  attempts,
}: ChangePasswordDeps): (request: PasswordRequest) => Promise<void> {
  return async ({ userId, network, oldPassword, newPassword }) => {
    const credentials = await db
      .transaction()
      .setAccessMode('read only')
      .execute((trx) => findCredentials(trx, userId))
    if (!credentials) throw notFound('User', userId)
    const { username, password } = credentials
    // Before the transaction: no row is to stay locked for as long as a hash takes.
    const hash = await attempts.attempt({ username, network }, async () =>
      (await attempts.verify(oldPassword, password)) ? attempts.hash(newPassword) : null,
    )
    if (hash === null) {
      throw new PublicError('invalid', 'Incorrect password', {
        fields: { error: 'Incorrect password' },
      })
    }
    await transact(db, (trx) => replacePassword(trx, { userId, from: password, to: hash }))
  }
}
