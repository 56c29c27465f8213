import type { IncomingMessage } from 'node:http'
import type { Answer } from '../../shared/cache/answer.ts'
import type { Reader } from '../../shared/cache/reader.ts'
import type { Resource } from '../../shared/cache/resource.ts'
import { PublicError } from '../../shared/errors.ts'
import type { UserAccess } from '../../shared/resources/user-access.ts'
import { csrfCookie, sessionCookie } from '../session/cookies.ts'
import type { Claim, Sessions } from '../session/session.ts'

/** Who asks. The flags choose what a read shows; a write asks the database itself. */
export interface User {
  readonly userId: string
  readonly isStaff: boolean
  readonly isSuperuser: boolean
}

export interface Authentication {
  /**
   * Says who asks; `null` is anonymous. An unsafe request with a session must repeat its CSRF token.
   * @throws PublicError `unavailable` when it cannot be told now, `forbidden` without the token.
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
}

export function createAuthentication({
  reader,
  sessions,
  userAccess,
}: AuthenticationDeps): Authentication {
  const claimOf = async (req: IncomingMessage): Promise<Claim | null> => {
    const token = sessionCookie(req)
    return token === undefined ? null : sessions.verify(token)
  }

  async function grant({ userId, keyId, fingerprint }: Claim): Promise<User | null> {
    const { body } = await reader.read(userAccess, { user_id: userId }, keyId)
    if (body === null) return null
    const access: UserAccess = JSON.parse(body.toString())
    if (!access.is_active || access.fingerprint !== fingerprint) return null
    return { userId, isStaff: access.is_staff, isSuperuser: access.is_superuser }
  }

  async function authenticate(req: IncomingMessage): Promise<User | null> {
    const claim = await claimOf(req)
    const user = claim && (await grant(claim))
    if (user && !SAFE_METHODS.has(req.method ?? '')) requireCsrfToken(req)
    return user
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

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])

function requireCsrfToken(req: IncomingMessage): void {
  const token = req.headers['x-csrftoken']
  if (!token) throw new PublicError('forbidden', 'CSRF Failed: CSRF token missing.')
  if (token !== csrfCookie(req)) {
    throw new PublicError('forbidden', 'CSRF Failed: CSRF token incorrect.')
  }
}

function refuse(): never {
  throw new PublicError('unauthenticated', 'Authentication credentials were not provided.')
}
