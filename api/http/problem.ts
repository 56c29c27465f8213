import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { ErrorRequestHandler, RequestHandler } from 'express'
import type { Logger } from 'winston'
import { WriteError } from '../../db/writes/write-error.ts'
import { PublicError } from '../../shared/errors.ts'
import { unavailableMessage } from '../../shared/unavailable.ts'
import type { SecurityLog } from './security-log.ts'

export const PROBLEM_TYPE = 'application/problem+json'

/** What a problem says, as far as it is not said by its status. */
export interface Problem {
  readonly status: number
  readonly detail: string
  /** The messages of wrong fields, each a list, and further members. */
  readonly fields?: Readonly<Record<string, unknown>>
}

/**
 * The body of RFC 9457. The messages of fields are in `errors`. They are beside it too, where no name
 * collides with a standard member: clients of earlier versions look for them there.
 */
export function problemBody(
  req: IncomingMessage,
  { status, detail, fields = {} }: Problem,
): string {
  const messages = Object.entries(fields).filter(([, value]) => Array.isArray(value))
  return JSON.stringify({
    ...fields,
    ...(messages.length > 0 && { errors: Object.fromEntries(messages) }),
    type: 'about:blank',
    title: STATUS_CODES[status],
    status,
    detail,
    instance: uriOf(pathOf(req)),
  })
}

/** A path as a valid URI reference; Node lets through characters that none may contain. */
const uriOf = (path: string): string =>
  path.replaceAll(/[^\w\-.~:/?#[\]@!$&'()*+,;=%]|%(?![\da-f]{2})/gi, encodeURIComponent)

/** How to log in where no other way is configured: RFC 9110 asks for a challenge with each 401. */
const LOG_IN = 'Cookie realm="spms"'

/** Tells the client what went wrong. Nothing may keep it. */
export function sendProblem(res: ServerResponse, error: PublicError): void {
  const { status, message: detail, fields } = error
  if (error.retryAfterS !== undefined) res.setHeader('Retry-After', error.retryAfterS)
  if (status === 401) res.setHeader('WWW-Authenticate', error.challenge ?? LOG_IN)
  send(res, status, problemBody(res.req, { status, detail, fields }))
}

/** 429, with the moment from which a further request may succeed. */
export function throttled(waitMs: number): PublicError {
  const seconds = Math.ceil(waitMs / 1000)
  return new PublicError(
    'throttled',
    `Request was throttled. Expected available in ${seconds} second${seconds === 1 ? '' : 's'}.`,
    { retryAfterS: seconds },
  )
}

/** Ends a route: any other method is a 405 that names those there are. */
export function methodNotAllowed(...allowed: readonly string[]): RequestHandler {
  const allow = [...allowed, ...(allowed.includes('GET') ? ['HEAD'] : [])].join(', ')
  return (req, res) => {
    res.setHeader('Allow', allow)
    throw new PublicError('method_not_allowed', `Method "${req.method}" not allowed.`)
  }
}

/** The last handler but one: no route took the request. */
export const unknownRoute: RequestHandler = () => {
  throw new PublicError('not_found', 'Not found.')
}

/** What a handler threw: shown if the client may know, else logged in full and hidden. */
export function errorHandler(logger: Logger, securityLog: SecurityLog): ErrorRequestHandler {
  return (thrown: unknown, req, res, next) => {
    const error = translate(thrown)
    // That something is unavailable is said once, by whoever notices that it changed.
    const level = error === undefined ? 'error' : 'debug'
    logger[level]('request failed', {
      requestId: res.getHeader('X-Request-Id'),
      method: req.method,
      path: pathOf(req),
      error: thrown,
    })
    if (res.headersSent) return next(thrown)
    if (error) {
      securityLog.logRejection(req, res, error)
      return sendProblem(res, error)
    }
    const problem = { status: 500, detail: 'Internal server error.' }
    return send(res, 500, problemBody(req, problem))
  }
}

/** Without the query, which may hold what people searched for. */
export const pathOf = (req: IncomingMessage & { originalUrl?: string }): string =>
  (req.originalUrl ?? req.url ?? '').split('?')[0] ?? ''

function send(res: ServerResponse, status: number, body: string): void {
  res
    .writeHead(status, {
      'Content-Type': PROBLEM_TYPE,
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
    })
    .end(body)
}

/** The SQLSTATE for U+0000, which JSON and URLs can carry and Postgres cannot. */
const UNSTORABLE_CHARACTER = '22021'

function translate(thrown: unknown): PublicError | undefined {
  if (thrown instanceof PublicError) return thrown
  if (thrown instanceof WriteError) {
    return new PublicError(thrown.reason, thrown.message, {
      fields: thrown.fields,
      ...(thrown.reason === 'unavailable' && { retryAfterS: 1 }),
    })
  }
  if (!(thrown instanceof Error)) return undefined
  const type = 'type' in thrown ? thrown.type : undefined
  const status = 'status' in thrown ? thrown.status : undefined
  if (type === 'entity.too.large') return new PublicError('too_large', 'The body is too large.')
  if (type === 'entity.parse.failed') {
    return new PublicError('invalid', `JSON parse error - ${thrown.message}`)
  }
  if (status === 415) return new PublicError('unsupported_media_type', 'Unsupported encoding.')
  if (status === 400) return new PublicError('invalid', 'The request is malformed.')
  if ('code' in thrown && thrown.code === UNSTORABLE_CHARACTER) {
    return new PublicError('invalid', 'Text must not contain null characters.')
  }
  const busy = unavailableMessage(thrown)
  return busy === undefined ? undefined : new PublicError('unavailable', busy, { retryAfterS: 1 })
}
