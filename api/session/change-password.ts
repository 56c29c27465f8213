import type { Kysely } from 'kysely'
import type { Database } from '../../db/schema.ts'
import { replacePassword } from '../../db/writes/password.ts'
import { transact } from '../../db/writes/transact.ts'
import { PublicError } from '../../shared/errors.ts'
import { createConfirmPassword } from './confirm-password.ts'
import type { PasswordAttempts } from './password-attempts.ts'
import { passwordProblems } from './password-rules.ts'

/** A request to change a password. */
export interface PasswordRequest {
  readonly userId: string
  /** The client's IPv4 address or IPv6 /64. */
  readonly network: string
  readonly oldPassword: string
  readonly newPassword: string
}

export interface ChangePasswordDeps {
  readonly db: Kysely<Database>
  readonly attempts: PasswordAttempts
}

/**
 * Returns a function that changes a password. This ends all sessions of the user, because a session
 * contains a fingerprint of the password hash.
 * @throws PublicError `invalid` if the old password is wrong or the new one is not acceptable;
 * `throttled` after too many failures; `unavailable` if the queue of hashes is full.
 * @throws WriteError as `replacePassword` does.
 */
export function createChangePassword(
  deps: ChangePasswordDeps,
): (request: PasswordRequest) => Promise<void> {
  const confirmPassword = createConfirmPassword(deps)

  return async ({ userId, network, oldPassword, newPassword }) => {
    const credentials = await confirmPassword({ userId, network, password: oldPassword })
    if (credentials === null) {
      throw new PublicError('invalid', 'Incorrect password', {
        fields: { error: 'Incorrect password' },
      })
    }
    const problems = await passwordProblems(newPassword, credentials)
    if (problems.length > 0) {
      throw new PublicError('invalid', problems.join(' '), { fields: { new_password: problems } })
    }
    const change = {
      userId,
      from: credentials.password,
      to: await deps.attempts.hash(newPassword),
    }
    await transact(deps.db, (trx) => replacePassword(trx, change))
  }
}
