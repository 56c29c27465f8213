import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseCookie, stringifySetCookie } from 'cookie'

/**
 * Over TLS the session is in a cookie whose name only this host can set, without `Domain` and for all
 * paths. Another host of the same site, or a page without TLS, cannot replace it.
 */
const SESSION = 'spms_session'
const HOST_SESSION = `__Host-${SESSION}`
/** Scripts of the front end read it by this name. It needs no prefix: it is valid for one session alone. */
const CSRF = 'spmscsrf'

/** A session as its cookies carry it. */
export interface SessionCookies {
  readonly token: string
  readonly csrfToken: string
  /** How long the browser keeps them. */
  readonly maxAgeS: number
}

/** The session token of a request, if it brings one. Over TLS a cookie without the prefix does not count. */
export function sessionCookie(req: IncomingMessage, isSecure: boolean): string | undefined {
  const header = req.headers.cookie
  return header?.includes(SESSION) ? parseCookie(header)[nameOf(isSecure)] : undefined
}

/** Sets the cookies of a session, and no others, on a response. Later cookies are added to them. */
export function setSessionCookies(
  res: ServerResponse,
  { token, csrfToken, maxAgeS }: SessionCookies,
  isSecure: boolean,
): void {
  const options = { path: '/', sameSite: 'lax', secure: isSecure, maxAge: maxAgeS } as const
  res.setHeader('Set-Cookie', [
    stringifySetCookie({ ...options, name: nameOf(isSecure), value: token, httpOnly: true }),
    stringifySetCookie({ ...options, name: CSRF, value: csrfToken }),
  ])
}

/** Deletes the cookies of a session in the browser. */
export function clearSessionCookies(res: ServerResponse, isSecure: boolean): void {
  setSessionCookies(res, { token: '', csrfToken: '', maxAgeS: 0 }, isSecure)
}

const nameOf = (isSecure: boolean) => (isSecure ? HOST_SESSION : SESSION)
