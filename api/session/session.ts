import { errors, jwtVerify, SignJWT } from 'jose'
import { fingerprint, sessionKeys } from '../../shared/session-key.ts'
import { RecentMap } from '../http/recent-map.ts'

/** What a session says of itself. Its signature is good; whether it still counts is another matter. */
export interface Claim {
  readonly userId: string
  readonly keyId: string
  readonly fingerprint: string
}

export interface Sessions {
  /** The secret that signs now, by its short name. */
  readonly currentKeyId: string
  /** A token for a user whose password was just verified. */
  issue(userId: string, passwordHash: string): Promise<string>
  /** Reads a token; `null` when it is not ours, was changed, or has expired. */
  verify(token: string): Promise<Claim | null>
}

export const SESSION_LIFE_S = 14 * 24 * 60 * 60
const AUDIENCE = 'spms session'
const REMEMBERED_TOKENS = 10_000

/** Sessions that live in signed tokens and nowhere else. */
export function createSessions(secrets: readonly string[]): Sessions {
  const keys = sessionKeys(secrets)
  const [current] = keys
  if (current === undefined) throw new Error('a session needs a secret')

  // A signature costs as much to check as the rest of a hit together, and cannot turn bad.
  const verified = new RecentMap<Claim & { readonly expiresAtS: number }>(REMEMBERED_TOKENS)

  return {
    currentKeyId: current.id,

    issue: (userId, passwordHash) =>
      new SignJWT({ fp: fingerprint(current, userId, passwordHash) })
        .setProtectedHeader({ alg: 'HS256', kid: current.id })
        .setAudience(AUDIENCE)
        .setSubject(userId)
        .setIssuedAt()
        .setExpirationTime(`${SESSION_LIFE_S}s`)
        .sign(current.secret),

    async verify(token) {
      const known = verified.get(token)
      if (known !== undefined) return known.expiresAtS * 1000 > Date.now() ? known : null
      try {
        const { payload, protectedHeader } = await jwtVerify(token, secretOf, {
          algorithms: ['HS256'],
          audience: AUDIENCE,
          requiredClaims: ['sub', 'exp', 'fp'],
        })
        const claim = {
          userId: String(payload.sub),
          keyId: String(protectedHeader.kid),
          fingerprint: String(payload['fp']),
          expiresAtS: Number(payload.exp),
        }
        verified.set(token, claim)
        return claim
      } catch (error) {
        if (error instanceof errors.JOSEError) return null
        throw error
      }
    },
  }

  function secretOf({ kid }: { kid?: string }): Uint8Array {
    const key = keys.find(({ id }) => id === kid)
    if (key === undefined) throw new errors.JWKSNoMatchingKey()
    return key.secret
  }
}
