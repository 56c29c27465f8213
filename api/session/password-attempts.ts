import { bulkhead, BulkheadRejectedError } from 'cockatiel'
import { PublicError } from '../../shared/errors.ts'
import { throttled } from '../http/problem.ts'
import { createTokenBuckets } from '../http/token-buckets.ts'
import { DJANGO_ITERATIONS, hashPassword, verifyPassword } from './password.ts'

/** Whose password is tried, and from where. */
export interface Attempt {
  readonly username: string
  readonly network: string
}

/** Where passwords are tried, and nowhere else: what is allowed, is allowed for all of it. */
export interface PasswordAttempts {
  /**
   * Lets somebody try. `work` answers null when the password was wrong, which alone uses up what
   * is allowed: an office behind one address may log in at nine.
   * @throws PublicError `throttled` after too many failures.
   */
  attempt<T>(by: Attempt, work: () => Promise<T | null>): Promise<T | null>
  /**
   * Whether a password is the one that was hashed.
   * @throws PublicError `unavailable` while too many others wait.
   */
  verify(password: string, hash: string): Promise<boolean>
  /**
   * Hashes a new password.
   * @throws PublicError `unavailable` while too many others wait.
   */
  hash(password: string): Promise<string>
}

const PER_NETWORK = { perS: 0.5, burst: 30 }
const PER_NAME = { perS: 0.1, burst: 10 }

// A hash takes most of a second of a core, in the pool of threads that also resolves names.
const HASHES_AT_ONCE = 2
const HASHES_WAITING = 50

export function createPasswordAttempts(): PasswordAttempts {
  const networks = createTokenBuckets(PER_NETWORK)
  const names = createTokenBuckets(PER_NAME)
  const hashing = bulkhead(HASHES_AT_ONCE, HASHES_WAITING)

  const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await hashing.execute(work)
    } catch (error) {
      if (!(error instanceof BulkheadRejectedError)) throw error
      throw new PublicError('unavailable', 'Too many people are logging in. Try again soon.', {
        retryAfterS: 5,
      })
    }
  }

  return {
    async attempt({ username, network }, work) {
      // The network first: whoever is refused by it must not use up what is left of another's name.
      const waitMs = networks.take(network) || names.take(username)
      if (waitMs > 0) throw throttled(waitMs)

      let isWrong = false
      try {
        const result = await work()
        isWrong = result === null
        return result
      } finally {
        if (!isWrong) {
          networks.giveBack(network)
          names.giveBack(username)
        }
      }
    },

    verify: (password, hash) => inTurn(() => verifyPassword(password, hash)),
    hash: (password) => inTurn(() => hashPassword(password, DJANGO_ITERATIONS)),
  }
}
