import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseCookie, stringifySetCookie } from 'cookie'

/**
 * Over TLS the name has the prefix `__Host-`: browsers accept such a cookie only from this host, over
 * TLS, without `Domain` and for all paths. Neither another subdomain nor a page without TLS can replace it.
 */
const SESSION = 'spms_session'
const HOST_SESSION = `__Host-${SESSION}`
/**
 * Scripts of the front end read this cookie. It needs no prefix: a CSRF token is valid for one
 * session only.
 */
const CSRF = 'spmscsrf'

/** Values of the cookies of a session. */
export interface SessionCookies {
  readonly token: string
  readonly csrfToken: string
  /** Lifetime of the cookies, in s. */
  readonly maxAgeS: number
}

/**
 * Returns the session token of a request, if any. Over TLS a cookie without the prefix is ignored.
 */
export function sessionCookie(req: IncomingMessage, isSecure: boolean): string | undefined {
  const header = req.headers.cookie
  return header?.includes(SESSION) ? parseCookie(header)[nameOf(isSecure)] : undefined
}

/** Sets the cookies of a session on a response. Replaces earlier `Set-Cookie` headers. */
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
