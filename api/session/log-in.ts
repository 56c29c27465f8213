import { bulkhead, BulkheadRejectedError } from 'cockatiel'
import type { Kysely } from 'kysely'
import { findLogInCandidate, recordLogIn } from '../../db/queries/log-in.ts'
import type { Database } from '../../db/schema.ts'
import { PublicError } from '../../shared/errors.ts'
import { throttled } from '../http/problem.ts'
import { createTokenBuckets } from '../http/token-buckets.ts'
import { verifyPassword } from './password.ts'
import type { Sessions } from './session.ts'

/** Who tries to log in, from where. */
export interface LogInAttempt {
  readonly username: string
  readonly password: string
  readonly network: string
}

export interface LogInDeps {
  readonly db: Kysely<Database>
  readonly sessions: Sessions
}

// Only failures use up what these allow: an office behind one address may log in at nine.
const PER_NETWORK = { perS: 0.5, burst: 30 }
const PER_NAME = { perS: 0.1, burst: 10 }

// A hash takes most of a second of a core, in the pool of threads that also resolves names.
const HASHES_AT_ONCE = 2
const HASHES_WAITING = 50

/**
 * Turns a name and a password into a session token.
 * @throws PublicError `unauthenticated`, whichever of the two is wrong, and in the same time;
 * `throttled` after too many failures; `unavailable` while too many others wait.
 */
export function createLogIn({
  db,
  sessions,
}: LogInDeps): (attempt: LogInAttempt) => Promise<string> {
  const networks = createTokenBuckets(PER_NETWORK)
  const names = createTokenBuckets(PER_NAME)
  const hashing = bulkhead(HASHES_AT_ONCE, HASHES_WAITING)

  const verify = async (password: string, hash: string): Promise<boolean> => {
    try {
      return await hashing.execute(() => verifyPassword(password, hash))
    } catch (error) {
      if (!(error instanceof BulkheadRejectedError)) throw error
      throw new PublicError('unavailable', 'Too many people are logging in. Try again soon.', {
        retryAfterS: 5,
      })
    }
  }

  return async ({ username, password, network }) => {
    // The network first: whoever is refused by it must not use up what is left of another's name.
    const waitMs = networks.take(network) || names.take(username)
    if (waitMs > 0) throw throttled(waitMs)

    let isWrong = false
    try {
      const user = await findLogInCandidate(db, username)
      const isRight = user !== undefined && (await verify(password, user.password))
      if (!isRight || !user.isNamed || !user.isActive) {
        isWrong = true
        throw new PublicError('unauthenticated', 'Incorrect password', {
          fields: { error: 'Incorrect password' },
        })
      }
      await recordLogIn(db, user.id)
      return await sessions.issue(user.id, user.password)
    } finally {
      if (!isWrong) {
        networks.giveBack(network)
        names.giveBack(username)
      }
    }
  }
}
