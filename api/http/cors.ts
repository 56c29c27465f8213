import type { IncomingMessage, ServerResponse } from 'node:http'
import cors from 'cors'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE']
const SENT = [
  'X-CSRFToken',
  'Content-Type',
  'Authorization',
  'Consistency-Token',
  'If-Match',
  'If-None-Match',
]
const SHOWN = [
  'Cache-Status',
  'ETag',
  'Age',
  'Consistency-Token',
  'Location',
  'Retry-After',
  'WWW-Authenticate',
  'X-Request-Id',
]
/** How long a browser need not ask again; some go no further than two hours. */
const PREFLIGHT_LIFETIME_S = 2 * 60 * 60

/**
 * Lets the pages of these origins use the API with their users' cookies, and answers their
 * preflights. Without origins it does nothing.
 */
export function createCors(
  origins: readonly string[],
): (req: IncomingMessage, res: ServerResponse, next: () => void) => void {
  if (origins.length === 0) return (_req, _res, next) => next()
  return cors({
    origin: [...origins],
    credentials: true,
    methods: METHODS,
    allowedHeaders: SENT,
    exposedHeaders: SHOWN,
    maxAge: PREFLIGHT_LIFETIME_S,
  })
}
