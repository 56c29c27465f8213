import type { IncomingMessage } from 'node:http'
import type { Answer } from '../../shared/cache/answer.ts'
import type { Reader } from '../../shared/cache/reader.ts'
import type { Resource } from '../../shared/cache/resource.ts'
import { PublicError } from '../../shared/errors.ts'
import type { UserAccess } from '../../shared/resources/user-access.ts'
import { challenge, type ReadBearerToken } from '../session/bearer.ts'
import { csrfCookie, sessionCookie } from '../session/cookies.ts'
import type { Sessions } from '../session/session.ts'
import { isSafe } from './safe-method.ts'

/** Who asks. The flags choose what a read shows; a write asks the database itself. */
export interface User {
  readonly userId: string
  readonly isStaff: boolean
  readonly isSuperuser: boolean
}

export interface Authentication {
  /**
   * Says who asks; `null` is anonymous. An unsafe request with a session must repeat its CSRF token.
   * @throws PublicError `unavailable` when it cannot be told now, `forbidden` without the CSRF
   * token, `unauthenticated` for a bearer token that does not count: no cookie stands in for it.
   */
  authenticate(req: IncomingMessage): Promise<User | null>
  /** The same. @throws PublicError `unauthenticated` when nobody is logged in. */
  requireUser(req: IncomingMessage): Promise<User>
  /**
   * Reads for a logged-in user while their access is being checked; what was read is handed out
   * only once it is granted. For safe methods.
   */
  readAs(req: IncomingMessage, read: (userId: string) => Promise<Answer>): Promise<Answer>
}

export interface AuthenticationDeps {
  readonly reader: Reader
  readonly sessions: Sessions
  readonly userAccess: Resource
  /** `null`: no issuer is configured, and `Authorization` is not looked at. */
  readonly readBearerToken: ReadBearerToken | null
}

/** Who a request says it is from; whether they may still come in is another matter. */
interface Claim {
  readonly userId: string
  /** The variant of their access that is asked for. */
  readonly keyId: string
  /** Of the password that the session was opened with. A bearer token knows no password. */
  readonly fingerprint: string | null
}

export function createAuthentication({
  reader,
  sessions,
  userAccess,
  readBearerToken,
}: AuthenticationDeps): Authentication {
  async function claimOf(req: IncomingMessage): Promise<Claim | null> {
    const bearer = readBearerToken && bearerToken(req)
    if (readBearerToken && bearer != null) {
      const userId = await readBearerToken(bearer)
      return { userId, keyId: sessions.currentKeyId, fingerprint: null }
    }
    const session = sessionCookie(req)
    return session === undefined ? null : sessions.verify(session)
  }

  async function grant({ userId, keyId, fingerprint }: Claim): Promise<User | null> {
    const { body } = await reader.read(userAccess, { user_id: userId }, keyId)
    if (body === null) return null
    const access: UserAccess = JSON.parse(body.toString())
    if (!access.is_active) return null
    if (fingerprint !== null && access.fingerprint !== fingerprint) return null
    return { userId, isStaff: access.is_staff, isSuperuser: access.is_superuser }
  }

  async function authenticate(req: IncomingMessage): Promise<User | null> {
    const claim = await claimOf(req)
    if (claim === null) return null
    const user = await grant(claim)
    // No browser sends a bearer token by itself, so nobody else's page can make it.
    const isSession = claim.fingerprint !== null
    if (user === null) return isSession ? null : refuse()
    if (isSession && !isSafe(req)) requireCsrfToken(req)
    return user
  }

  function refuse(): never {
    throw new PublicError('unauthenticated', 'Authentication credentials were not provided.', {
      ...(readBearerToken && { challenge: challenge() }),
    })
  }

  return {
    authenticate,

    async requireUser(req) {
      return (await authenticate(req)) ?? refuse()
    },

    async readAs(req, read) {
      const claim = (await claimOf(req)) ?? refuse()
      const reading = read(claim.userId)
      // It may fail while access is still being checked; whether that matters is not known yet.
      reading.catch(() => {})
      if (!(await grant(claim))) refuse()
      return reading
    },
  }
}

function requireCsrfToken(req: IncomingMessage): void {
  const token = req.headers['x-csrftoken']
  if (!token) throw new PublicError('forbidden', 'CSRF Failed: CSRF token missing.')
  if (token !== csrfCookie(req)) {
    throw new PublicError('forbidden', 'CSRF Failed: CSRF token incorrect.')
  }
}

/** The token after `Bearer`, which may be empty; undefined without that scheme. */
function bearerToken({ headers }: IncomingMessage): string | undefined {
  const found = /^Bearer(?: +(.*))?$/i.exec(headers.authorization ?? '')
  return found ? (found[1] ?? '') : undefined
}
