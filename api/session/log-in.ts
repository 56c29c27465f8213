import type { Kysely } from 'kysely'
import { findLogInCandidate, recordLogIn } from '../../db/queries/log-in.ts'
import type { Database } from '../../db/schema.ts'
import { PublicError } from '../../shared/errors.ts'
import type { Attempt, PasswordAttempts } from './password-attempts.ts'
import type { Sessions } from './session.ts'

/** Who tries to log in, from where. */
export interface LogInAttempt extends Attempt {
  readonly password: string
}

export interface LogInDeps {
  readonly db: Kysely<Database>
  readonly sessions: Sessions
  readonly attempts: PasswordAttempts
}

/**
 * Turns a name and a password into a session token.
 * @throws PublicError `unauthenticated`, whichever of the two is wrong, and in the same time;
 * `throttled` after too many failures; `unavailable` while too many others wait.
 */
export function createLogIn({
  db,
  sessions,
  attempts,
}: LogInDeps): (attempt: LogInAttempt) => Promise<string> {
  return async ({ password, ...by }) => {
    const token = await attempts.attempt(by, async () => {
      const user = await db
        .transaction()
        .setAccessMode('read only')
        .execute((trx) => findLogInCandidate(trx, by.username))
      const isRight = user !== undefined && (await attempts.verify(password, user.password))
      if (!isRight || !user.isNamed || !user.isActive) return null
      await db.transaction().execute((trx) => recordLogIn(trx, user.id))
      return sessions.issue(user.id, user.password)
    })
    if (token !== null) return token
    throw new PublicError('unauthenticated', 'Incorrect password', {
      fields: { error: 'Incorrect password' },
    })
  }
}
