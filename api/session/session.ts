import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { errors, jwtVerify, SignJWT } from 'jose'
import { fingerprint, type SessionKey, sessionKeys } from '../../shared/session-key.ts'
import { RecentMap } from '../../shared/recent-map.ts'

/** The claims of a session token with a valid signature. The session may have been revoked. */
export interface Claim {
  readonly userId: string
  readonly keyId: string
  readonly fingerprint: string
  readonly sessionId: string
  /** End of the session, in Unix time; renewals do not extend it. */
  readonly endsAtS: number
  /** Time of signing and expiry of the token, in Unix time. */
  readonly issuedAtS: number
  readonly expiresAtS: number
}

export interface Sessions {
  /** Id of the key that signs new tokens. */
  readonly currentKeyId: string
  /**
   * Issues a token for a user whose password was just verified. `epoch` changes when all sessions of the
   * user are revoked; it is empty if that never happened.
   */
  issue(userId: string, passwordHash: string, epoch?: string): Promise<string>
  /** Verifies a token; null if it is forged, malformed or expired. */
  verify(token: string): Promise<Claim | null>
  /**
   * Issues a token of the same session with a later expiry; null if that is not needed, or not possible
   * any more.
   */
  renew(claim: Claim): Promise<string> | null
  /** Returns the CSRF token of a session. It is different for each session. */
  csrfToken(claim: Claim): string
  /** Whether a text is the CSRF token of a session. */
  isCsrfToken(claim: Claim, text: string): boolean
}

export interface SessionOptions {
  /** Seconds without a request after which a session ends. By default a session has no idle limit. */
  readonly idleS?: number | undefined
}

/** Maximum lifetime of a session; renewals do not extend it. */
export const SESSION_LIFETIME_S = 14 * 24 * 60 * 60
const AUDIENCE = 'spms session'
const REMEMBERED_TOKENS = 10_000
/** Share of the idle limit after which a token is renewed, so that not every request renews it. */
const RENEWED_AFTER = 0.1
const SESSION_ID_BYTES = 12
const CSRF_BYTES = 24

/** Creates sessions as signed tokens. Only revocations are stored. */
export function createSessions(
  secrets: readonly string[],
  { idleS = SESSION_LIFETIME_S }: SessionOptions = {},
): Sessions {
  const keys = sessionKeys(secrets)
  const [current] = keys
  if (current === undefined) throw new Error('sessions need at least one secret')

  // Verifying a signature costs as much as the rest of a cache hit, and a valid one stays valid.
  const verified = new RecentMap<Claim>(REMEMBERED_TOKENS)

  const sign = (
    { id, secret }: SessionKey,
    of: Pick<Claim, 'userId' | 'sessionId' | 'fingerprint' | 'endsAtS'>,
    nowS: number,
  ) =>
    new SignJWT({ fp: of.fingerprint, end: of.endsAtS })
      .setProtectedHeader({ alg: 'HS256', kid: id })
      .setAudience(AUDIENCE)
      .setSubject(of.userId)
      .setJti(of.sessionId)
      .setIssuedAt(nowS)
      .setExpirationTime(Math.min(of.endsAtS, nowS + idleS))
      .sign(secret)

  const keyOf = (keyId: string | undefined): SessionKey => {
    const key = keys.find(({ id }) => id === keyId)
    if (key === undefined) throw new errors.JWKSNoMatchingKey()
    return key
  }

  const csrfBytes = ({ keyId, sessionId }: Claim): Buffer =>
    createHmac('sha256', keyOf(keyId).secret)
      .update(`spms csrf token\n${sessionId}`)
      .digest()
      .subarray(0, CSRF_BYTES)

  return {
    currentKeyId: current.id,

    issue(userId, passwordHash, epoch = '') {
      const nowS = secondsNow()
      const session = {
        userId,
        fingerprint: fingerprint(current, { userId, passwordHash, epoch }),
        sessionId: randomBytes(SESSION_ID_BYTES).toString('base64url'),
        endsAtS: nowS + SESSION_LIFETIME_S,
      }
      return sign(current, session, nowS)
    },

    async verify(token) {
      const known = verified.get(token)
      if (known !== undefined) return known.expiresAtS * 1000 > Date.now() ? known : null
      try {
        const { payload, protectedHeader } = await jwtVerify(
          token,
          ({ kid }) => keyOf(kid).secret,
          {
            algorithms: ['HS256'],
            audience: AUDIENCE,
            requiredClaims: ['sub', 'jti', 'iat', 'exp', 'fp', 'end'],
          },
        )
        const claim: Claim = {
          userId: String(payload.sub),
          keyId: String(protectedHeader.kid),
          fingerprint: String(payload['fp']),
          sessionId: String(payload.jti),
          endsAtS: Number(payload['end']),
          issuedAtS: Number(payload.iat),
          // The idle limit also applies to tokens issued before it was configured.
          expiresAtS: Math.min(Number(payload.exp), Number(payload.iat) + idleS),
        }
        verified.set(token, claim)
        return claim.expiresAtS > secondsNow() ? claim : null
      } catch (error) {
        if (error instanceof errors.JOSEError) return null
        throw error
      }
    },

    renew(claim) {
      const nowS = secondsNow()
      if (nowS - claim.issuedAtS < idleS * RENEWED_AFTER) return null
      if (claim.expiresAtS >= claim.endsAtS) return null
      // Signed with the key of the old token, because the fingerprint was made with that key.
      return sign(keyOf(claim.keyId), claim, nowS)
    },

    csrfToken: (claim) => csrfBytes(claim).toString('base64url'),

    isCsrfToken(claim, text) {
      const given = Buffer.from(text, 'base64url')
      return given.length === CSRF_BYTES && timingSafeEqual(given, csrfBytes(claim))
    },
  }
}

const secondsNow = () => Math.floor(Date.now() / 1000)
