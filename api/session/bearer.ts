import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose'
import type { Logger } from 'winston'
import { z } from 'zod'
import type { TimeBudget } from '../../shared/cache/index.ts'
import { PublicError } from '../../shared/errors.ts'
import { type UserIdentity, userByEmailParams } from '../../shared/resources/index.ts'
import { unsealed } from '../../shared/resources/seal.ts'
import type { Reader, Resource } from '../../shared/resources/cache.ts'

/** The issuer whose tokens identify users, and the rules for its tokens. */
export interface BearerConfig {
  readonly issuer: string
  /** The token's `aud` must contain one of these. */
  readonly audiences: readonly string[]
  readonly jwksUrl: string
  /** Asymmetric algorithms only: every holder of a shared secret can forge tokens. */
  readonly algorithms: readonly string[]
  /** The claim that identifies the user: a verified `email`, or `sub`, which must be a user id. */
  readonly userClaim: UserClaim
  /** The claim by which the issuer confirms that it has verified the address. */
  readonly emailVerifiedClaim: VerifiedClaim
  /** Longest accepted lifetime in s. It is limited because a token cannot be revoked. */
  readonly maxLifetimeS: number
}

export const USER_CLAIMS = ['email', 'sub'] as const
export type UserClaim = (typeof USER_CLAIMS)[number]

/**
 * Microsoft Entra has `xms_edov` instead of `email_verified`. `none` accepts every address: that is safe
 * only if users cannot set the address of an account at the issuer.
 */
export const VERIFIED_CLAIMS = ['email_verified', 'xms_edov', 'none'] as const
export type VerifiedClaim = (typeof VERIFIED_CLAIMS)[number]

export const TOKEN_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const

/**
 * Verifies a token and returns the id of its user. `budget` is the time budget of the request for Redis.
 * @throws PublicError `unauthenticated` for an invalid token, `unavailable` if the issuer's keys cannot
 * be fetched.
 */
export type ReadBearerToken = (token: string, budget?: TimeBudget) => Promise<string>

export interface BearerDeps {
  readonly reader: Reader
  /** The cached resource of users by e-mail address, and its variant: the id of the current key. */
  readonly userByEmail: Resource
  readonly keyId: string
  readonly logger: Logger
  /** How long the issuer's keys are cached, in ms. */
  readonly keysTtlMs?: number
  /** Minimum time between fetches that tokens with unknown keys cause, in ms. */
  readonly refetchIntervalMs?: number
}

const KEYS_TTL_MS = 10 * 60_000
const REFETCH_INTERVAL_MS = 30_000
const FETCH_TIMEOUT_MS = 2_000
const MAX_CLOCK_SKEW_S = 5

export function createBearer(config: BearerConfig, deps: BearerDeps): ReadBearerToken {
  const keyOf = createKeySource(config.jwksUrl, deps)
  const options = {
    issuer: config.issuer,
    audience: [...config.audiences],
    algorithms: [...config.algorithms],
    requiredClaims: ['exp'],
    clockTolerance: MAX_CLOCK_SKEW_S,
  }
  const idOf: Readonly<
    Record<UserClaim, (payload: unknown, budget?: TimeBudget) => Promise<string> | string>
  > = {
    sub: (payload) =>
      bySubject.safeParse(payload).data?.sub ?? rejectToken('has no user id in sub'),
    async email(payload, budget) {
      const { email } =
        BY_EMAIL[config.emailVerifiedClaim].safeParse(payload).data ??
        rejectToken('contains no verified e-mail address')
      const { userByEmail, keyId } = deps
      const { body } = await deps.reader.read(userByEmail, userByEmailParams(email), keyId, budget)
      const identity: UserIdentity | null = body && JSON.parse(unsealed(body))
      return identity?.user_id ?? rejectToken('does not identify a known user')
    },
  }

  return async (token, budget) => {
    const { payload } = await jwtVerify(token, keyOf, options).catch((error: unknown) => {
      if (error instanceof errors.JOSEError) return rejectToken(reasonOf(error))
      throw error
    })
    if (lifetimeOf(payload) > config.maxLifetimeS + MAX_CLOCK_SKEW_S)
      rejectToken('is valid for too long')
    return idOf[config.userClaim](payload, budget)
  }
}

/** Accepts canonical user ids only: `07` must not be an alias of 7. */
const bySubject = z.object({ sub: z.string().regex(/^[1-9]\d{0,17}$/) })

const withEmail = z.object({ email: z.string().regex(/^[^\0\p{Surrogate}]{1,254}$/u) })

/** Users may enter any address at the issuer; only a verified address identifies them. */
const BY_EMAIL = {
  email_verified: withEmail.extend({ email_verified: z.literal(true) }),
  // Entra uses each of these representations.
  xms_edov: withEmail.extend({ xms_edov: z.literal([true, 1, '1', 'true']) }),
  none: withEmail,
} as const satisfies Record<VerifiedClaim, z.ZodType>

/**
 * Returns the lifetime of a token in s. It starts at `iat` or `nbf`, or now if the token has
 * neither.
 */
function lifetimeOf({ exp = Infinity, iat, nbf }: JWTPayload): number {
  const nowS = Date.now() / 1000
  return exp - Math.min(nowS, iat ?? nowS, nbf ?? nowS)
}

/** Returns a `WWW-Authenticate` header (RFC 6750); `problem` describes an invalid token. */
export function challenge(problem?: string): string {
  const realm = 'Bearer realm="spms"'
  return problem === undefined
    ? realm
    : `${realm}, error="invalid_token", error_description="${problem}"`
}

function rejectToken(problem: string): never {
  const detail = `The token ${problem}.`
  throw new PublicError('unauthenticated', detail, { challenge: challenge(detail) })
}

function reasonOf(error: errors.JOSEError): string {
  if (error instanceof errors.JWTExpired) return 'has expired'
  // Letters only: a quotation mark in the name of a claim would end the quoted string of the header.
  if (error instanceof errors.JWTClaimValidationFailed && /^[a-z]+$/.test(error.claim)) {
    return `has a wrong ${error.claim}`
  }
  if (error instanceof errors.JOSEAlgNotAllowed)
    return 'is signed with an algorithm that is not accepted'
  return 'is not valid'
}

/**
 * Creates a cached source of the issuer's keys. Failures to fetch them are `unavailable`, not
 * `unauthenticated`.
 */
function createKeySource(
  url: string,
  { logger, keysTtlMs = KEYS_TTL_MS, refetchIntervalMs = REFETCH_INTERVAL_MS }: BearerDeps,
): JWTVerifyGetKey {
  const keys = createRemoteJWKSet(new URL(url), {
    timeoutDuration: FETCH_TIMEOUT_MS,
    cacheMaxAge: keysTtlMs,
    cooldownDuration: refetchIntervalMs,
  })
  let isUnavailable = false
  const setUnavailable = (unavailable: boolean, error?: unknown) => {
    if (unavailable === isUnavailable) return
    isUnavailable = unavailable
    if (unavailable) logger.warn("could not fetch the issuer's signing keys (JWKS)", { error })
    else logger.info("fetched the issuer's signing keys (JWKS) again")
  }

  return async (header, token) => {
    try {
      const key = await keys(header, token)
      setUnavailable(false)
      return key
    } catch (error) {
      if (TOKEN_ERRORS.some((fault) => error instanceof fault)) throw error
      setUnavailable(true, error)
      throw new PublicError('unavailable', 'The token cannot be checked now. Try again soon.', {
        retryAfterS: 1,
        cause: error,
      })
    }
  }
}

const TOKEN_ERRORS = [
  errors.JWKSNoMatchingKey,
  errors.JWKSMultipleMatchingKeys,
  errors.JOSENotSupported,
]
