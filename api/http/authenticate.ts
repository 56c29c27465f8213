import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Answer } from '../../shared/cache/answer.ts'
import type { Resource } from '../../shared/cache/resource.ts'
import { PublicError } from '../../shared/errors.ts'
import { unsealed } from '../../shared/resources/seal.ts'
import type { UserAccess } from '../../shared/resources/user-access.ts'
import { challenge, type ReadBearerToken } from '../session/bearer.ts'
import { sessionCookie, setSessionCookies } from '../session/cookies.ts'
import type { Claim as SessionClaim, Sessions } from '../session/session.ts'
import type { Client } from './client.ts'
import { RecentMap } from './recent-map.ts'
import type { RequestReader } from './request-reader.ts'
import { isSafe } from './safe-method.ts'
import { addSecurityContext } from './security-log.ts'

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
  /** The session that a request brings; `null` for one with a bearer token, or with neither. */
  findSession(req: IncomingMessage): Promise<SessionClaim | null>
}

export interface AuthenticationDeps {
  readonly reader: RequestReader
  readonly sessions: Sessions
  readonly userAccess: Resource
  readonly client: Client
  /** `null`: no issuer is configured, and `Authorization` is not looked at. */
  readonly readBearerToken: ReadBearerToken | null
}

/** Who a request says it is from; whether they may still come in is another matter. */
interface Claim {
  readonly userId: string
  /** The variant of their access that is asked for. */
  readonly keyId: string
  /** The session itself; a bearer token has none. */
  readonly session: SessionClaim | null
}

const REMEMBERED_TOKENS = 2_000

/** Who asks, and the session that they ask with. */
interface Identified {
  readonly user: User | null
  readonly session: SessionClaim | null
}

/** A request as Express hands it on, with its response. */
type Answered = IncomingMessage & { readonly res?: ServerResponse }

export function createAuthentication({
  reader,
  sessions,
  userAccess,
  client,
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
    const session = await sessionOf(req)
    return session && { userId: session.userId, keyId: session.keyId, session }
  }

  async function sessionOf(req: IncomingMessage): Promise<SessionClaim | null> {
    const token = sessionCookie(req, client.isSecure(req))
    return token === undefined ? null : sessions.verify(token)
  }

  const claimOfBearer = (userId: string): Claim => ({
    userId,
    keyId: sessions.currentKeyId,
    session: null,
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
    { userId, keyId, session }: Claim,
  ): Promise<User | null> {
    const { body } = await reader.read(req, userAccess, { user_id: userId }, keyId)
    if (body === null) return null
    const access: UserAccess | null = JSON.parse(unsealed(body))
    if (!access?.is_active) return null
    if (session !== null) {
      if (access.fingerprint !== session.fingerprint) return null
      if (access.revoked.includes(session.sessionId)) return null
    }
    return { userId, isStaff: access.is_staff, isSuperuser: access.is_superuser }
  }

  async function identify(req: IncomingMessage): Promise<Identified> {
    const found = await withClaim(req, (claim) => grant(req, claim))
    if (found === null) return { user: null, session: null }
    const { session } = found.claim
    const user = found.result
    if (user === null) return session === null ? rejectUnauthenticated() : { user, session: null }
    // No browser sends a bearer token by itself, so no page of another site can make it.
    addSecurityContext(req, { userId: user.userId })
    if (session !== null && !isSafe(req)) requireCsrfToken(req, session)
    return { user, session }
  }

  /**
   * Sends a token with a later expiry, where an idle limit requires one. Only for answers to logged-in
   * users: a shared cache may store the cookies of a public answer.
   */
  function renewSession(req: Answered, session: SessionClaim | null): Promise<void> | null {
    const renewal = session && sessions.renew(session)
    if (session === null || renewal === null) return null
    return renewal.then((token) => {
      if (!req.res || req.res.headersSent) return
      const maxAgeS = session.endsAtS - Math.floor(Date.now() / 1000)
      const csrfToken = sessions.csrfToken(session)
      setSessionCookies(req.res, { token, csrfToken, maxAgeS }, client.isSecure(req))
    })
  }

  function requireCsrfToken(req: IncomingMessage, session: SessionClaim): void {
    const token = req.headers['x-csrftoken']
    if (!token) throw new PublicError('forbidden', 'CSRF Failed: CSRF token missing.')
    if (!sessions.isCsrfToken(session, String(token))) {
      throw new PublicError('forbidden', 'CSRF Failed: CSRF token incorrect.')
    }
  }

  function rejectUnauthenticated(): never {
    throw new PublicError('unauthenticated', 'Authentication credentials were not provided.', {
      ...(readBearerToken && { challenge: challenge() }),
    })
  }

  return {
    authenticate: async (req) => (await identify(req)).user,

    async requireUser(req) {
      const { user, session } = await identify(req)
      if (user === null) rejectUnauthenticated()
      await renewSession(req, session)
      return user
    },

    async findSession(req) {
      return readBearerToken && bearerToken(req) != null ? null : sessionOf(req)
    },

    async readAs(req, read, readInstead) {
      const found = await withClaim(req, async (claim) => {
        const reading = read(claim.userId)
        // It may fail while access is still being checked; whether that matters is not known yet.
        reading.catch(() => {})
        return { user: await grant(req, claim), reading: { answer: reading } }
      })
      if (!found?.result.user) rejectUnauthenticated()
      const renewal = renewSession(req, found.claim.session)
      if (renewal) await renewal
      return readInstead?.(found.result.user) ?? found.result.reading.answer
    },
  }
}

/** The token after `Bearer`, which may be empty; undefined without that scheme. */
function bearerToken({ headers }: IncomingMessage): string | undefined {
  const found = /^Bearer(?: (.*))?$/i.exec(headers.authorization ?? '')
  return found ? (found[1] ?? '').trimStart() : undefined
}
