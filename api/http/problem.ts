import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { ErrorRequestHandler, RequestHandler } from 'express'
import type { Logger } from 'winston'
import { WriteError } from '../../db/writes/write-error.ts'
import { PublicError } from '../../shared/errors.ts'
import { LoaderBusy } from '../../shared/cache/index.ts'
import { errorCode, unavailableMessage } from '../../db/event-log/index.ts'
import { requestIdOf } from './request-id.ts'
import type { SecurityLog } from './security-log.ts'

export const PROBLEM_TYPE = 'application/problem+json'

/** The variable part of an RFC 9457 problem. */
export interface Problem {
  readonly status: number
  readonly detail: string
  /** Lists of messages of invalid fields, and further members. */
  readonly fields?: Readonly<Record<string, unknown>>
}

/**
 * Returns the JSON of an RFC 9457 problem. The messages of fields are in `errors`. For clients of the
 * Django API they are repeated at the top level, unless a name collides with a standard member.
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

/** Escapes a path as a valid URI reference: Node accepts characters that a URI must not contain. */
const uriOf = (path: string): string =>
  path.replaceAll(/[^\w\-.~:/?#[\]@!$&'()*+,;=%]|%(?![\da-f]{2})/gi, encodeURIComponent)

/** The challenge if no issuer is configured. RFC 9110 requires a challenge in each 401. */
const SESSION_CHALLENGE = 'Cookie realm="spms"'

/** Sends an error as a problem with `no-store`. */
export function sendProblem(res: ServerResponse, error: PublicError): void {
  const { status, message: detail, fields } = error
  if (error.retryAfterS !== undefined) res.setHeader('Retry-After', error.retryAfterS)
  if (status === 401) res.setHeader('WWW-Authenticate', error.challenge ?? SESSION_CHALLENGE)
  send(res, status, problemBody(res.req, { status, detail, fields }))
}

/** Returns an error with 429 whose `Retry-After` is `waitMs`, rounded up to seconds. */
export function throttled(waitMs: number): PublicError {
  const seconds = Math.ceil(waitMs / 1000)
  return new PublicError(
    'throttled',
    `Request was throttled. Expected available in ${seconds} second${seconds === 1 ? '' : 's'}.`,
    { retryAfterS: seconds },
  )
}

/**
 * Returns the last handler of a route. It rejects all other methods with 405 and an `Allow` header.
 */
export function methodNotAllowed(...allowed: readonly string[]): RequestHandler {
  const allow = [...allowed, ...(allowed.includes('GET') ? ['HEAD'] : [])].join(', ')
  return (req, res) => {
    res.setHeader('Allow', allow)
    throw new PublicError('method_not_allowed', `Method "${req.method}" not allowed.`)
  }
}

/** Rejects with 404 a request that no route matched. */
export const unknownRoute: RequestHandler = () => {
  throw new PublicError('not_found', 'Not found.')
}

/**
 * Creates the error handler. It sends public errors to the client; other errors become 500 without a
 * detail and are logged at `error`.
 */
export function errorHandler(logger: Logger, securityLog: SecurityLog): ErrorRequestHandler {
  return (thrown: unknown, req, res, next) => {
    const error = translate(thrown)
    // Not `error` for public errors: the monitors log once when Redis or Postgres become unavailable.
    const level = error === undefined ? 'error' : 'debug'
    logger[level]('request failed', {
      requestId: requestIdOf(req),
      method: req.method,
      path: pathOf(req),
      error: thrown,
    })
    if (res.headersSent) return next(thrown)
    if (error) {
      securityLog.logRejection(req, error)
      return sendProblem(res, error)
    }
    const problem = { status: 500, detail: 'Internal server error.' }
    return send(res, 500, problemBody(req, problem))
  }
}

/** Returns the path without the query, because the query may contain personal data. */
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

/** The SQLSTATE for U+0000: JSON and URLs can contain it, text in Postgres cannot. */
const UNSTORABLE_CHARACTER = '22021'

function translate(thrown: unknown): PublicError | undefined {
  if (thrown instanceof PublicError) return thrown
  if (thrown instanceof WriteError) {
    return new PublicError(thrown.reason, thrown.message, {
      fields: thrown.fields,
      ...(thrown.reason === 'unavailable' && { retryAfterS: 1 }),
    })
  }
  if (thrown instanceof LoaderBusy) {
    return new PublicError('unavailable', 'The server is busy.', { retryAfterS: 1 })
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
  if (errorCode(thrown) === UNSTORABLE_CHARACTER) {
    return new PublicError('invalid', 'Text must not contain null characters.')
  }
  const busy = unavailableMessage(thrown)
  return busy === undefined ? undefined : new PublicError('unavailable', busy, { retryAfterS: 1 })
}
