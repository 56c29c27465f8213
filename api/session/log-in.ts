import type { Kysely, Transaction } from 'kysely'
import type { Logger } from 'winston'
import {
  findCredentials,
  findLogInCandidate,
  type LogInCandidate,
} from '../../db/queries/log-in.ts'
import { findSessionRevocations } from '../../db/queries/session-revocations.ts'
import type { Database } from '../../db/schema.ts'
import { recordLogIn } from '../../db/writes/log-in.ts'
import { PublicError } from '../../shared/errors.ts'
import type { Attempt, PasswordAttempts } from './password-attempts.ts'
import { isOutdated } from './password.ts'
import type { Sessions } from './session.ts'

/** An attempt to log in. */
export interface LogInAttempt {
  /** A user name or an e-mail address. */
  readonly username: string
  readonly password: string
  /** The client's IPv4 address or IPv6 /64. */
  readonly network: string
  /** Called with the id of the user who has the name, before the password is verified. */
  readonly onFound?: (userId: string) => void
}

export interface LogInDeps {
  readonly db: Kysely<Database>
  readonly logger: Logger
  readonly sessions: Sessions
  readonly attempts: PasswordAttempts
  /** Iterations of new password hashes. A hash with fewer iterations is replaced. */
  readonly iterations: number
}

/**
 * Returns a function that verifies a user name or e-mail address and a password, and returns a session
 * token. If the database is read-only, the log-in succeeds without recording its time or replacing an
 * outdated hash.
 * @throws PublicError `unauthenticated` for a wrong name or password, both with the same response time;
 * `throttled` after too many failures; `unavailable` if the queue of hashes is full.
 */
export function createLogIn({
  db,
  logger,
  sessions,
  attempts,
  iterations,
}: LogInDeps): (attempt: LogInAttempt) => Promise<string> {
  const read = <T>(work: (trx: Transaction<Database>) => Promise<T>) =>
    db.transaction().setAccessMode('read only').execute(work)

  /**
   * Records the time of a log-in and replaces an outdated hash. Returns the hash stored afterwards; null
   * if the write failed.
   */
  async function record(
    { id, password: hash }: LogInCandidate,
    password: string,
  ): Promise<string | null> {
    try {
      const newHash = isOutdated(hash, iterations) ? await attempts.hash(password) : hash
      const log = { userId: id, from: hash, to: newHash }
      return (await db.transaction().execute((trx) => recordLogIn(trx, log))) ? newHash : null
    } catch (error) {
      logger.debug('log-in not recorded', { error })
      return null
    }
  }

  /** Returns the hash that is stored for the user after the log-in; null if the password is wrong. */
  async function verify(
    user: LogInCandidate | undefined,
    password: string,
  ): Promise<string | null> {
    const isRight = await attempts.verify(password, user?.password ?? null)
    if (!isRight || !user?.isActive) return null
    const hash = await record(user, password)
    if (hash !== null) return hash
    // A concurrent log-in may have replaced the hash. A session is only valid for the stored hash.
    const now = await read((trx) => findCredentials(trx, user.id))
    if (now === undefined || now.password === user.password) return user.password
    return (await attempts.verify(password, now.password)) ? now.password : null
  }

  return async ({ password, network, onFound = () => {}, ...given }) => {
    // Django's forms normalize too. All spellings of a name share the same limits.
    const name = given.username.normalize('NFKC')
    const attempt: Attempt<LogInCandidate | undefined> = {
      network,
      async find() {
        const user = await read((trx) => findLogInCandidate(trx, name))
        if (user !== undefined) onFound(user.id)
        return user
      },
      // The address of a user shares the limits of the user name.
      nameOf: (user) => user?.username ?? name,
    }
    const token = await attempts.attempt(attempt, async (user) => {
      const hash = await verify(user, password)
      if (user === undefined || hash === null) return null
      const { epoch } = await read((trx) => findSessionRevocations(trx, user.id))
      return sessions.issue(user.id, hash, epoch)
    })
    if (token !== null) return token
    throw new PublicError('unauthenticated', 'Incorrect password', {
      fields: { error: 'Incorrect password' },
    })
  }
}
