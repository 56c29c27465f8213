import { bulkhead, BulkheadRejectedError } from 'cockatiel'
import { PublicError } from '../../shared/errors.ts'
import type { Bucket, SharedBuckets } from '../../shared/redis-buckets.ts'
import { throttled } from '../http/problem.ts'
import { createTokenBuckets } from '../http/token-buckets.ts'
import { HASHES_AT_ONCE, hashPassword, verifyPassword } from './password.ts'

/** Whose password is tried, and from where. */
export interface Attempt {
  /** As the database has it, or would have it. */
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
   * Whether a password is the one that was hashed; `null` stands for the hash of a user who does not
   * exist.
   * @throws PublicError `unavailable` while too many others wait.
   */
  verify(password: string, hash: string | null): Promise<boolean>
  /**
   * Hashes a new password.
   * @throws PublicError `unavailable` while too many others wait.
   */
  hash(password: string): Promise<string>
}

export interface PasswordAttemptsOptions {
  /** Of new hashes. */
  readonly iterations: number
  /** What all API processes count together. Without it, or while it is away, each counts alone. */
  readonly shared: SharedBuckets | null
}

/** From one network, whatever the name. */
const PER_NETWORK = { perS: 0.5, burst: 30 }
/** For one name from one network. */
const PER_PAIR = { perS: 0.1, burst: 10 }
/**
 * For one name, from wherever. Tokens return faster than one network can use them up, so it takes
 * several networks to lock a user out.
 */
const PER_NAME = { perS: 0.2, burst: 100 }

const HASHES_WAITING = 50

export function createPasswordAttempts({
  iterations,
  shared,
}: PasswordAttemptsOptions): PasswordAttempts {
  const own = [PER_NETWORK, PER_PAIR, PER_NAME].map(createTokenBuckets)
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

  /** Takes a token of each bucket in this process, or none; answers as `SharedBuckets.take` does. */
  function takeOwn(buckets: readonly Bucket[]): number {
    for (const [at, { name }] of buckets.entries()) {
      const waitMs = own[at]?.take(name) ?? 0
      if (waitMs === 0) continue
      giveBackOwn(buckets.slice(0, at))
      return waitMs
    }
    return 0
  }

  function giveBackOwn(buckets: readonly Bucket[]): void {
    for (const [at, { name }] of buckets.entries()) own[at]?.giveBack(name)
  }

  return {
    async attempt({ username, network }, work) {
      // The network first: an attempt that it rejects must use up nothing of another user.
      const buckets: readonly Bucket[] = [
        { name: `network ${network}`, ...PER_NETWORK },
        { name: `pair ${network} ${username}`, ...PER_PAIR },
        { name: `name ${username}`, ...PER_NAME },
      ]
      const sharedWaitMs = shared && (await shared.take(buckets))
      const waitMs = sharedWaitMs ?? takeOwn(buckets)
      if (waitMs > 0) throw throttled(waitMs)

      let isWrong = false
      try {
        const result = await work()
        isWrong = result === null
        return result
      } finally {
        if (!isWrong) {
          if (sharedWaitMs === null) giveBackOwn(buckets)
          else shared?.giveBack(buckets)
        }
      }
    },

    verify: (password, hash) => inTurn(() => verifyPassword(password, hash, iterations)),
    hash: (password) => inTurn(() => hashPassword(password, iterations)),
  }
}
