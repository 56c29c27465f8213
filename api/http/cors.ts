import type { IncomingMessage, ServerResponse } from 'node:http'
import cors from 'cors'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE']
const ALLOWED_HEADERS = [
  'X-CSRFToken',
  'Content-Type',
  'Authorization',
  'Consistency-Token',
  'If-Match',
  'If-None-Match',
]
const EXPOSED_HEADERS = [
  'Cache-Status',
  'ETag',
  'Age',
  'Consistency-Token',
  'Location',
  'Retry-After',
  'WWW-Authenticate',
  'X-Request-Id',
]
/** How long a browser may cache a preflight, in s. Chrome allows at most two hours. */
const PREFLIGHT_LIFETIME_S = 2 * 60 * 60

/**
 * Creates CORS middleware: pages of these origins may use the API with the cookies of their users. It
 * answers preflights. Without origins it does nothing.
 */
export function createCors(
  origins: readonly string[],
): (req: IncomingMessage, res: ServerResponse, next: () => void) => void {
  if (origins.length === 0) return (_req, _res, next) => next()
  return cors({
    origin: [...origins],
    credentials: true,
    methods: METHODS,
    allowedHeaders: ALLOWED_HEADERS,
    exposedHeaders: EXPOSED_HEADERS,
    maxAge: PREFLIGHT_LIFETIME_S,
  })
}
