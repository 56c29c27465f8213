import type { IncomingMessage } from 'node:http'
import type { Answer } from '../../shared/cache/answer.ts'
import type { Resource } from '../../shared/cache/resource.ts'
import { PublicError } from '../../shared/errors.ts'
import { unsealed } from '../../shared/resources/seal.ts'
import type { UserAccess } from '../../shared/resources/user-access.ts'
import { challenge, type ReadBearerToken } from '../session/bearer.ts'
import { csrfCookie, sessionCookie } from '../session/cookies.ts'
import type { Sessions } from '../session/session.ts'
import { RecentMap } from './recent-map.ts'
import type { RequestReader } from './request-reader.ts'
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
   * only once it is granted. What `readInstead` reads for the user who was granted access, if
   * anything, takes its place. For safe methods.
   */
  readAs(
    req: IncomingMessage,
    read: (userId: string) => Promise<Answer>,
    readInstead?: (user: User) => Promise<Answer> | null,
  ): Promise<Answer>
}

export interface AuthenticationDeps {
  readonly reader: RequestReader
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

const REMEMBERED_TOKENS = 2_000

export function createAuthentication({
  reader,
  sessions,
  userAccess,
  readBearerToken,
}: AuthenticationDeps): Authentication {
  /** Whom bearer tokens that verified named. It only says what to ask for, never who asks. */
  const namedBefore = new RecentMap<string>(REMEMBERED_TOKENS)

  async function claimOf(req: IncomingMessage): Promise<Claim | null> {
    const bearer = readBearerToken && bearerToken(req)
    if (readBearerToken && bearer != null) {
      const userId = await readBearerToken(bearer, reader.budgetOf(req))
      namedBefore.set(bearer, userId)
      return claimOfBearer(userId)
    }
    const session = sessionCookie(req)
    return session === undefined ? null : sessions.verify(session)
  }

  const claimOfBearer = (userId: string): Claim => ({
    userId,
    keyId: sessions.currentKeyId,
    fingerprint: null,
  })

  /**
   * Does what follows from a claim. A bearer token names its user only after a read of its own: what
   * follows from whom it named before is sent with that read, and dropped when it names another now.
   */
  async function withClaim<T>(
    req: IncomingMessage,
    work: (claim: Claim) => Promise<T>,
  ): Promise<{ readonly claim: Claim; readonly result: T } | null> {
    const bearer = readBearerToken && bearerToken(req)
    const expected = bearer == null ? undefined : namedBefore.get(bearer)
    const ahead = expected === undefined ? null : work(claimOfBearer(expected))
    ahead?.catch(() => {})
    const claim = await claimOf(req)
    if (claim === null) return null
    const isExpected = ahead !== null && claim.userId === expected
    return { claim, result: await (isExpected ? ahead : work(claim)) }
  }

  async function grant(
    req: IncomingMessage,
    { userId, keyId, fingerprint }: Claim,
  ): Promise<User | null> {
    const { body } = await reader.read(req, userAccess, { user_id: userId }, keyId)
    if (body === null) return null
    const access = unsealed<UserAccess>(body)
    if (!access?.is_active) return null
    if (fingerprint !== null && access.fingerprint !== fingerprint) return null
    return { userId, isStaff: access.is_staff, isSuperuser: access.is_superuser }
  }

  async function authenticate(req: IncomingMessage): Promise<User | null> {
    const found = await withClaim(req, (claim) => grant(req, claim))
    if (found === null) return null
    const { claim, result: user } = found
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

    async readAs(req, read, readInstead) {
      const found = await withClaim(req, async (claim) => {
        const reading = read(claim.userId)
        // It may fail while access is still being checked; whether that matters is not known yet.
        reading.catch(() => {})
        return { user: await grant(req, claim), reading: { answer: reading } }
      })
      if (!found?.result.user) refuse()
      return readInstead?.(found.result.user) ?? found.result.reading.answer
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
