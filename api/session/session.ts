import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { errors, jwtVerify, SignJWT } from 'jose'
import { fingerprint, type SessionKey, sessionKeys } from '../../shared/session-key.ts'
import { RecentMap } from '../http/recent-map.ts'

/** What a session token states. Its signature is valid; the database may have revoked the session. */
export interface Claim {
  readonly userId: string
  readonly keyId: string
  readonly fingerprint: string
  readonly sessionId: string
  /** When the session ends, however much it is used. */
  readonly endsAtS: number
  /** When the token was signed, and when it expires unless it is renewed. */
  readonly issuedAtS: number
  readonly expiresAtS: number
}

export interface Sessions {
  /** The secret that signs now, by its short name. */
  readonly currentKeyId: string
  /**
   * A token for a user whose password was just verified. `epoch` is that of their revocations; empty
   * where all sessions were never revoked.
   */
  issue(userId: string, passwordHash: string, epoch?: string): Promise<string>
  /** Reads a token; `null` when it is not ours, was changed, or has expired. */
  verify(token: string): Promise<Claim | null>
  /** A token of the same session with a later expiry; `null` while that is not needed. */
  renew(claim: Claim): Promise<string> | null
  /** The CSRF token of a session: no other session has the same. */
  csrfToken(claim: Claim): string
  /** Whether a text is the CSRF token of a session. */
  isCsrfToken(claim: Claim, text: string): boolean
}

export interface SessionOptions {
  /** After how many seconds without a request a session ends. By default it has no such limit. */
  readonly idleS?: number | undefined
}

/** How long a session lasts at most, however much it is used. */
export const SESSION_LIFETIME_S = 14 * 24 * 60 * 60
const AUDIENCE = 'spms session'
const REMEMBERED_TOKENS = 10_000
/** A token is renewed once so much of the idle limit has passed, and not with every request. */
const RENEWED_AFTER = 0.1
const SESSION_ID_BYTES = 12
const CSRF_BYTES = 24

/** Sessions in signed tokens. Only their revocations are stored. */
export function createSessions(
  secrets: readonly string[],
  { idleS = SESSION_LIFETIME_S }: SessionOptions = {},
): Sessions {
  const keys = sessionKeys(secrets)
  const [current] = keys
  if (current === undefined) throw new Error('a session needs a secret')

  // A signature costs as much to check as the rest of a hit together, and cannot turn bad.
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
          // An idle limit also counts for tokens from before it was configured.
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
      // With the key of the old token: the fingerprint is of that key.
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
