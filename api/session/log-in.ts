import type { Kysely, Transaction } from 'kysely'
import type { Logger } from 'winston'
import { findLogInCandidate, type LogInCandidate } from '../../db/queries/log-in.ts'
import { findSessionRevocations } from '../../db/queries/session-revocations.ts'
import type { Database } from '../../db/schema.ts'
import { recordLogIn } from '../../db/writes/log-in.ts'
import { PublicError } from '../../shared/errors.ts'
import type { Attempt, PasswordAttempts } from './password-attempts.ts'
import { isOutdated } from './password.ts'
import type { Sessions } from './session.ts'

/** Who tries to log in, from where. */
export interface LogInAttempt extends Attempt {
  readonly password: string
  /** Told which user has the name, before the password is verified. */
  readonly onFound?: (userId: string) => void
}

export interface LogInDeps {
  readonly db: Kysely<Database>
  readonly logger: Logger
  readonly sessions: Sessions
  readonly attempts: PasswordAttempts
  /** Of new hashes; one with fewer is replaced. */
  readonly iterations: number
}

/**
 * Turns a name and a password into a session. It also works where nothing can be written: the time of the
 * log-in is then not recorded, and an outdated hash stays.
 * @throws PublicError `unauthenticated`, whichever of the two is wrong, and in the same time;
 * `throttled` after too many failures; `unavailable` while too many others wait.
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
   * Replaces an outdated hash, and records the time. Returns the hash that is stored then; null where
   * nothing was written.
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

  /** The user whose name and password these are, with the hash that is stored; null where they are wrong. */
  async function find(
    username: string,
    password: string,
    onFound: (userId: string) => void = () => {},
  ): Promise<LogInCandidate | null> {
    const user = await read((trx) => findLogInCandidate(trx, username))
    if (user !== undefined) onFound(user.id)
    const isRight = await attempts.verify(password, user?.password ?? null)
    if (!isRight || !user?.isActive) return null
    const hash = await record(user, password)
    if (hash !== null) return { ...user, password: hash }
    // Another log-in may have replaced the hash, and a session is for the hash that is stored.
    const now = await read((trx) => findLogInCandidate(trx, username))
    if (now === undefined || now.password === user.password) return user
    return (await attempts.verify(password, now.password)) ? now : null
  }

  return async ({ password, network, onFound, ...given }) => {
    // As Django's forms do, so that every way to write a name has the same limits.
    const username = given.username.normalize('NFKC')
    const token = await attempts.attempt({ username, network }, async () => {
      const user = await find(username, password, onFound)
      if (user === null) return null
      const { epoch } = await read((trx) => findSessionRevocations(trx, user.id))
      return sessions.issue(user.id, user.password, epoch)
    })
    if (token !== null) return token
    throw new PublicError('unauthenticated', 'Incorrect password', {
      fields: { error: 'Incorrect password' },
    })
  }
}
