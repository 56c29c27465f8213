import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseCookie, stringifySetCookie } from 'cookie'
import { SESSION_LIFE_S } from './session.ts'

const SESSION = 'spms_session'
const CSRF = 'spmscsrf'

/** The session token of a request, if it brings one. */
export const sessionCookie = (req: IncomingMessage) => cookieOf(req, SESSION)

/** The token that an unsafe request repeats in a header, which another site cannot read. */
export const csrfCookie = (req: IncomingMessage) => cookieOf(req, CSRF)

/** Logs the browser in. */
export function setSessionCookies(res: ServerResponse, token: string, isSecure: boolean): void {
  const csrf = randomBytes(24).toString('base64url')
  setCookies(res, { session: token, csrf, maxAgeS: SESSION_LIFE_S, isSecure })
}

/** Logs the browser out. */
export function clearSessionCookies(res: ServerResponse, isSecure: boolean): void {
  setCookies(res, { session: '', csrf: '', maxAgeS: 0, isSecure })
}

interface SessionCookies {
  readonly session: string
  readonly csrf: string
  readonly maxAgeS: number
  readonly isSecure: boolean
}

function setCookies(
  res: ServerResponse,
  { session, csrf, maxAgeS, isSecure }: SessionCookies,
): void {
  const options = { path: '/', sameSite: 'lax', secure: isSecure, maxAge: maxAgeS } as const
  res.setHeader('Set-Cookie', [
    stringifySetCookie({ ...options, name: SESSION, value: session, httpOnly: true }),
    stringifySetCookie({ ...options, name: CSRF, value: csrf }),
  ])
}

function cookieOf(req: IncomingMessage, name: string): string | undefined {
  const header = req.headers.cookie
  return header?.includes(name) ? parseCookie(header)[name] : undefined
}
