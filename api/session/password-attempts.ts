import { PublicError } from '../../shared/errors.ts'
import { createLimiter } from '../../shared/limiter.ts'
import type { Bucket, SharedBuckets } from '../../shared/redis-buckets.ts'
import { throttled } from '../http/problem.ts'
import { createTokenBuckets, type TokenBuckets } from '../http/token-buckets.ts'
import { HASHES_AT_ONCE, hashPassword, verifyPassword } from './password.ts'

/** An attempt from a network, for a user that is still to be found. */
export interface Attempt<User> {
  /** The client's IPv4 address or IPv6 /64. */
  readonly network: string
  /** Finds the user. It is not called if the network has failed too often. */
  readonly find: () => Promise<User>
  /** Returns the name under which failures count. All names of a user must lead to the same one. */
  readonly nameOf: (user: User) => string
}

/** Verifies and hashes passwords. All endpoints that verify a password share its limits. */
export interface PasswordAttempts {
  /**
   * Runs an attempt and returns its result. `work` must return null for a wrong password. Only failures
   * count against the limits, so many users behind one address can log in at the same time.
   * @throws PublicError `throttled` after too many failures.
   */
  attempt<User, T>(by: Attempt<User>, work: (user: User) => Promise<T | null>): Promise<T | null>
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

/** A bucket, with the buckets of this process that replace it while Redis is unavailable. */
interface Limit extends Bucket {
  readonly local: TokenBuckets
}

export function createPasswordAttempts({
  iterations,
  shared,
}: PasswordAttemptsOptions): PasswordAttempts {
  const [ofNetwork, ofPair, ofName] = [
    createLimit(PER_NETWORK),
    createLimit(PER_PAIR),
    createLimit(PER_NAME),
  ]
  const queued = createLimiter(
    HASHES_AT_ONCE,
    MAX_QUEUED_HASHES,
    () =>
      new PublicError('unavailable', 'Too many people are logging in. Try again soon.', {
        retryAfterS: 5,
      }),
  )

  /** Runs work against limits. Its tokens are given back unless it returns null. */
  async function count<T>(
    limits: readonly Limit[],
    work: () => Promise<T | null>,
  ): Promise<T | null> {
    const sharedWaitMs = shared && (await shared.take(limits))
    const waitMs = sharedWaitMs ?? takeLocal(limits)
    if (waitMs > 0) throw throttled(waitMs)

    let isWrong = false
    try {
      const result = await work()
      isWrong = result === null
      return result
    } finally {
      if (!isWrong) {
        if (sharedWaitMs === null) giveBackLocal(limits)
        else shared?.giveBack(limits)
      }
    }
  }

  return {
    // The network comes first: an attempt that it rejects must not consume tokens of a user. Every name
    // costs the same steps, whether it is a user name, an address or unknown.
    attempt: ({ network, find, nameOf }, work) =>
      count([ofNetwork(`network ${network}`)], async () => {
        const user = await find()
        const name = nameOf(user)
        const limits = [ofPair(`pair ${network} ${name}`), ofName(`name ${name}`)]
        return count(limits, () => work(user))
      }),

    verify: (password, hash) => queued(() => verifyPassword(password, hash, iterations)),
    hash: (password) => queued(() => hashPassword(password, iterations)),
  }
}

function createLimit(limit: Omit<Bucket, 'name'>): (name: string) => Limit {
  const local = createTokenBuckets(limit)
  return (name) => ({ name, local, ...limit })
}

/**
 * Takes a token from each local bucket, or from none. Returns the wait in ms, as `SharedBuckets.take`
 * does.
 */
function takeLocal(limits: readonly Limit[]): number {
  for (const [at, { name, local }] of limits.entries()) {
    const waitMs = local.take(name)
    if (waitMs === 0) continue
    giveBackLocal(limits.slice(0, at))
    return waitMs
  }
  return 0
}

function giveBackLocal(limits: readonly Limit[]): void {
  for (const { name, local } of limits) local.giveBack(name)
}
