import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Answer } from '../../shared/cache/index.ts'
import { PublicError } from '../../shared/errors.ts'
import { unsealed } from '../../shared/resources/seal.ts'
import type { UserAccess } from '../../shared/resources/user-access.ts'
import { challenge, type ReadBearerToken } from '../session/bearer.ts'
import { sessionCookie, setSessionCookies } from '../session/cookies.ts'
import type { Claim as SessionClaim, Sessions } from '../session/session.ts'
import type { Client } from './client.ts'
import { RecentMap } from '../../shared/recent-map.ts'
import type { RequestReader } from './request-reader.ts'
import { isSafe } from './safe-method.ts'
import { addSecurityContext } from './security-log.ts'
import type { Resource } from '../../shared/resources/cache.ts'

/**
 * The user who sent a request. The flags are for reads; writes read permissions from the database.
 */
export interface User {
  readonly userId: string
  readonly isStaff: boolean
  readonly isSuperuser: boolean
}

export interface Authentication {
  /**
   * Returns the user who sent a request; null if it is anonymous. An unsafe request with a session
   * must contain the CSRF token of the session.
   * @throws PublicError `unauthenticated` for an invalid bearer token, even beside a valid cookie;
   * `forbidden` without the CSRF token; `unavailable` if credentials cannot be verified now.
   */
  authenticate(req: IncomingMessage): Promise<User | null>
  /**
   * Returns the user who sent a request.
   * @throws PublicError as `authenticate` does, and `unauthenticated` for an anonymous request.
   */
  requireUser(req: IncomingMessage): Promise<User>
  /**
   * Reads for a logged-in user, concurrently with the check of their access; the answer is returned
   * only if access is granted. If `readInstead` returns an answer, it replaces that of `read`. For
   * safe methods only, because the CSRF token is not checked.
   */
  readAs(
    req: IncomingMessage,
    read: (userId: string) => Promise<Answer>,
    readInstead?: (user: User) => Promise<Answer> | null,
  ): Promise<Answer>
  /** Returns the session of a request; null if it has a bearer token, or no session. */
  findSession(req: IncomingMessage): Promise<SessionClaim | null>
}

export interface AuthenticationDeps {
  readonly reader: RequestReader
  readonly sessions: Sessions
  readonly userAccess: Resource
  readonly client: Client
  /** Null if no issuer is configured; `Authorization` is then ignored. */
  readonly readBearerToken: ReadBearerToken | null
}

/** The user whom a request claims to come from. `grant` checks whether they have access. */
interface Claim {
  readonly userId: string
  /** The variant of the user's access entry: the id of the key that it is sealed with. */
  readonly keyId: string
  /** Null for a bearer token. */
  readonly session: SessionClaim | null
}

const REMEMBERED_TOKENS = 2_000

/** The user who sent a request, and the session of the request. */
interface Identified {
  readonly user: User | null
  readonly session: SessionClaim | null
}

/** A request of Express, which refers to its response. */
type ExpressRequest = IncomingMessage & { readonly res?: ServerResponse }

export function createAuthentication({
  reader,
  sessions,
  userAccess,
  client,
  readBearerToken,
}: AuthenticationDeps): Authentication {
  /**
   * User ids of recently verified bearer tokens. They only start reads early and never grant
   * access.
   */
  const recentUserIds = new RecentMap<string>(REMEMBERED_TOKENS)

  async function claimOf(req: IncomingMessage): Promise<Claim | null> {
    const bearer = readBearerToken && bearerToken(req)
    if (readBearerToken && bearer != null) {
      const userId = await readBearerToken(bearer, reader.budgetOf(req))
      recentUserIds.set(bearer, userId)
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
   * Runs `work` with the claim of a request. Finding the user of a bearer token takes a read. For a
   * recent token `work` therefore starts at once with the user of last time; its result is discarded if
   * the token identifies another user now.
   */
  async function withClaim<T>(
    req: IncomingMessage,
    work: (claim: Claim) => Promise<T>,
  ): Promise<{ readonly claim: Claim; readonly result: T } | null> {
    const bearer = readBearerToken && bearerToken(req)
    const expected = bearer == null ? undefined : recentUserIds.get(bearer)
    const early = expected === undefined ? null : work(claimOfBearer(expected))
    early?.catch(() => {})
    const claim = await claimOf(req)
    if (claim === null) return null
    const isExpected = early !== null && claim.userId === expected
    return { claim, result: await (isExpected ? early : work(claim)) }
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
    // A token of a user without access is invalid. A session without access counts as none.
    if (user === null) return session === null ? rejectUnauthenticated() : { user, session: null }
    addSecurityContext(req, { userId: user.userId })
    // A bearer token needs no CSRF token: browsers do not send it automatically.
    if (session !== null && !isSafe(req)) requireCsrfToken(req, session)
    return { user, session }
  }

  /**
   * Sets a session cookie with a later expiry if the idle limit requires one. Only for private
   * responses: a shared cache could store the cookie of a public one.
   */
  function renewSession(req: ExpressRequest, session: SessionClaim | null): Promise<void> | null {
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
        // If access is denied a failed read is ignored, so its rejection must count as handled.
        reading.catch(() => {})
        return { user: await grant(req, claim), reading }
      })
      if (!found?.result.user) rejectUnauthenticated()
      const renewal = renewSession(req, found.claim.session)
      if (renewal) await renewal
      return readInstead?.(found.result.user) ?? found.result.reading
    },
  }
}

/**
 * Returns the token of a `Bearer` header, which may be empty; undefined for another scheme or none.
 */
function bearerToken({ headers }: IncomingMessage): string | undefined {
  const found = /^Bearer(?: (.*))?$/i.exec(headers.authorization ?? '')
  return found ? (found[1] ?? '').trimStart() : undefined
}
