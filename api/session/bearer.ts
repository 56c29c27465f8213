import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose'
import type { Logger } from 'winston'
import { z } from 'zod'
import type { TimeBudget } from '../../shared/cache/time-budget.ts'
import type { Reader } from '../../shared/cache/reader.ts'
import type { Resource } from '../../shared/cache/resource.ts'
import { PublicError } from '../../shared/errors.ts'
import { type UserIdentity, userByEmailParams } from '../../shared/resources/index.ts'
import { unsealed } from '../../shared/resources/seal.ts'

/** The issuer whose tokens stand for our users. */
export interface BearerConfig {
  readonly issuer: string
  /** A token must be meant for one of these. */
  readonly audiences: readonly string[]
  readonly jwksUrl: string
  /** Asymmetric ones only: with a shared secret, whoever can verify can forge. */
  readonly algorithms: readonly string[]
  /** Which claim names the user: their verified `email`, or `sub`, which is then their id here. */
  readonly userClaim: UserClaim
  /** Which claim says that the issuer has verified the address. */
  readonly emailVerifiedClaim: VerifiedClaim
  /** A token that is valid for longer is rejected: nothing revokes it before it expires. */
  readonly maxLifetimeS: number
}

export const USER_CLAIMS = ['email', 'sub'] as const
export type UserClaim = (typeof USER_CLAIMS)[number]

/**
 * `xms_edov` is what Microsoft Entra has instead of `email_verified`. With `none` every address counts: that is
 * safe only for an issuer in which no user can set the address of an account.
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
 * The id of the user whom a token names; waits for Redis within the budget of a request.
 * @throws PublicError `unauthenticated` for a token that does not count, `unavailable` while the
 * issuer's keys cannot be had.
 */
export type ReadBearerToken = (token: string, budget?: TimeBudget) => Promise<string>

export interface BearerDeps {
  readonly reader: Reader
  /** The users of e-mail addresses, and the variant that is read: the id of the key that signs now. */
  readonly userByEmail: Resource
  readonly keyId: string
  readonly logger: Logger
  /** For how long the issuer's keys are kept. */
  readonly keysTtlMs?: number
  /** How often at most tokens that name unknown keys make us ask the issuer for new ones. */
  readonly refetchIntervalMs?: number
}

const KEYS_TTL_MS = 10 * 60_000
const REFETCH_INTERVAL_MS = 30_000
const FETCH_MS = 2_000
const CLOCKS_DIFFER_S = 5

export function createBearer(config: BearerConfig, deps: BearerDeps): ReadBearerToken {
  const keyOf = createKeySource(config.jwksUrl, deps)
  const options = {
    issuer: config.issuer,
    audience: [...config.audiences],
    algorithms: [...config.algorithms],
    requiredClaims: ['exp'],
    clockTolerance: CLOCKS_DIFFER_S,
  }
  const idOf: Readonly<
    Record<UserClaim, (payload: unknown, budget?: TimeBudget) => Promise<string> | string>
  > = {
    sub: (payload) => bySubject.safeParse(payload).data?.sub ?? rejectToken('names no user by id'),
    async email(payload, budget) {
      const { email } =
        BY_EMAIL[config.emailVerifiedClaim].safeParse(payload).data ??
        rejectToken('holds no verified e-mail address')
      const { userByEmail, keyId } = deps
      const { body } = await deps.reader.read(userByEmail, userByEmailParams(email), keyId, budget)
      const identity: UserIdentity | null = body && JSON.parse(unsealed(body))
      return identity?.user_id ?? rejectToken('names nobody who is a user here')
    },
  }

  return async (token, budget) => {
    const { payload } = await jwtVerify(token, keyOf, options).catch((error: unknown) => {
      if (error instanceof errors.JOSEError) return rejectToken(reasonOf(error))
      throw error
    })
    if (lifetimeOf(payload) > config.maxLifetimeS + CLOCKS_DIFFER_S)
      rejectToken('is valid for too long')
    return idOf[config.userClaim](payload, budget)
  }
}

/** The ids that a row can have, written as we write them: `07` must not be another name of 7. */
const bySubject = z.object({ sub: z.string().regex(/^[1-9]\d{0,17}$/) })

const withEmail = z.object({ email: z.string().regex(/^[^\0\p{Surrogate}]{1,254}$/u) })

/** An issuer lets people enter any address; only one that it has verified says who they are. */
const BY_EMAIL = {
  email_verified: withEmail.extend({ email_verified: z.literal(true) }),
  // Entra writes it in each of these ways.
  xms_edov: withEmail.extend({ xms_edov: z.literal([true, 1, '1', 'true']) }),
  none: withEmail,
} as const satisfies Record<VerifiedClaim, z.ZodType>

/** For how many seconds a token is valid in all; from now on, where it does not say since when. */
function lifetimeOf({ exp = Infinity, iat, nbf }: JWTPayload): number {
  const nowS = Date.now() / 1000
  return exp - Math.min(nowS, iat ?? nowS, nbf ?? nowS)
}

/** Says that a bearer token is needed, or what is wrong with the one that was sent (RFC 6750). */
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
  // Its claims are public; a quotation mark in one would end ours.
  if (error instanceof errors.JWTClaimValidationFailed && /^[a-z]+$/.test(error.claim)) {
    return `has a wrong ${error.claim}`
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return 'is signed in a way that is not accepted'
  return 'is not valid'
}

/** The issuer's keys, kept for a while. What is wrong with them is no fault of a token. */
function createKeySource(
  url: string,
  { logger, keysTtlMs = KEYS_TTL_MS, refetchIntervalMs = REFETCH_INTERVAL_MS }: BearerDeps,
): JWTVerifyGetKey {
  const keys = createRemoteJWKSet(new URL(url), {
    timeoutDuration: FETCH_MS,
    cacheMaxAge: keysTtlMs,
    cooldownDuration: refetchIntervalMs,
  })
  let isAway = false
  const setAway = (away: boolean, error?: unknown) => {
    if (away === isAway) return
    isAway = away
    if (away) logger.warn("could not fetch the issuer's signing keys (JWKS)", { error })
    else logger.info("fetched the issuer's signing keys (JWKS) again")
  }

  return async (header, token) => {
    try {
      const key = await keys(header, token)
      setAway(false)
      return key
    } catch (error) {
      if (TOKEN_ERRORS.some((fault) => error instanceof fault)) throw error
      setAway(true, error)
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
