import { PublicError } from '../../shared/errors.ts'
import { createLimiter } from '../../shared/limiter.ts'
import type { Bucket, SharedBuckets } from '../../shared/redis-buckets.ts'
import { throttled } from '../http/problem.ts'
import { createTokenBuckets } from '../http/token-buckets.ts'
import { HASHES_AT_ONCE, hashPassword, verifyPassword } from './password.ts'

/** The user name and the network of an attempt. */
export interface Attempt {
  /** The user name in the form that the database stores. The user need not exist. */
  readonly username: string
  /** The client's IPv4 address or IPv6 /64. */
  readonly network: string
}

/** Verifies and hashes passwords. All endpoints that verify a password share its limits. */
export interface PasswordAttempts {
  /**
   * Runs an attempt and returns its result. `work` must return null for a wrong password. Only failures
   * count against the limits, so many users behind one address can log in at the same time.
   * @throws PublicError `throttled` after too many failures.
   */
  attempt<T>(by: Attempt, work: () => Promise<T | null>): Promise<T | null>
  /**
   * Whether a password matches a hash; null is the hash of a user who does not exist.
   * @throws PublicError `unavailable` if the queue of hashes is full.
   */
  verify(password: string, hash: string | null): Promise<boolean>
  /**
   * Hashes a new password.
   * @throws PublicError `unavailable` if the queue of hashes is full.
   */
  hash(password: string): Promise<string>
}

export interface PasswordAttemptsOptions {
  /** Iterations of new hashes. */
  readonly iterations: number
  /** Limits that all API processes share. If null or unavailable, each process counts alone. */
  readonly shared: SharedBuckets | null
}

/** Limit of one network, for all names. */
const PER_NETWORK = { perS: 0.5, burst: 30 }
/** Limit of one name from one network. */
const PER_PAIR = { perS: 0.1, burst: 10 }
/**
 * Limit of one name, from all networks. Its rate exceeds that of `PER_PAIR`, so that an attacker needs
 * several networks to lock a user out.
 */
const PER_NAME = { perS: 0.2, burst: 100 }

const MAX_QUEUED_HASHES = 50

export function createPasswordAttempts({
  iterations,
  shared,
}: PasswordAttemptsOptions): PasswordAttempts {
  const local = [PER_NETWORK, PER_PAIR, PER_NAME].map(createTokenBuckets)
  const queued = createLimiter(
    HASHES_AT_ONCE,
    MAX_QUEUED_HASHES,
    () =>
      new PublicError('unavailable', 'Too many people are logging in. Try again soon.', {
        retryAfterS: 5,
      }),
  )

  /**
   * Takes a token from each local bucket, or from none. Returns the wait in ms, as
   * `SharedBuckets.take` does.
   */
  function takeLocal(buckets: readonly Bucket[]): number {
    for (const [at, { name }] of buckets.entries()) {
      const waitMs = local[at]?.take(name) ?? 0
      if (waitMs === 0) continue
      giveBackLocal(buckets.slice(0, at))
      return waitMs
    }
    return 0
  }

  function giveBackLocal(buckets: readonly Bucket[]): void {
    for (const [at, { name }] of buckets.entries()) local[at]?.giveBack(name)
  }

  return {
    async attempt({ username, network }, work) {
      // The network comes first: an attempt that it rejects must not consume tokens of a user.
      const buckets: readonly Bucket[] = [
        { name: `network ${network}`, ...PER_NETWORK },
        { name: `pair ${network} ${username}`, ...PER_PAIR },
        { name: `name ${username}`, ...PER_NAME },
      ]
      const sharedWaitMs = shared && (await shared.take(buckets))
      const waitMs = sharedWaitMs ?? takeLocal(buckets)
      if (waitMs > 0) throw throttled(waitMs)

      let isWrong = false
      try {
        const result = await work()
        isWrong = result === null
        return result
      } finally {
        if (!isWrong) {
          if (sharedWaitMs === null) giveBackLocal(buckets)
          else shared?.giveBack(buckets)
        }
      }
    },

    verify: (password, hash) => queued(() => verifyPassword(password, hash, iterations)),
    hash: (password) => queued(() => hashPassword(password, iterations)),
  }
}
