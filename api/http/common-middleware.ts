import { AsyncResource } from 'node:async_hooks'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from 'winston'
import type { Client } from './client.ts'
import { createCors } from './cors.ts'
import { pathOf } from './problem.ts'
import { createRateLimit } from './rate-limit.ts'
import { requestIdOf, withRequestId } from './request-id.ts'
import { isSafe } from './safe-method.ts'
import { createSecurityHeaders } from './security-headers.ts'
import type { SecurityLog } from './security-log.ts'

/** What every request passes first; it knows nothing of Express. */
export type Middleware = (req: IncomingMessage, res: ServerResponse, next: () => void) => void

export interface CommonMiddlewareOptions {
  readonly client: Client
  readonly logger: Logger
  readonly securityLog: SecurityLog
  /** Whose pages may use the API from a browser. */
  readonly corsOrigins: readonly string[]
  /** For each client; 0 turns the limit off. */
  readonly rateLimit: { readonly perS: number; readonly burst: number }
}

/** Names the request, sets the headers of every response, and turns away who asks too often. */
export function createCommonMiddleware(options: CommonMiddlewareOptions): Middleware {
  const { client, logger, securityLog, corsOrigins, rateLimit } = options
  const setSecurityHeaders = createSecurityHeaders()
  const allowOrigins = createCors(corsOrigins)
  const rejectIfLimited = createRateLimit(client, rateLimit, securityLog)

  return (req, res, next) => {
    const id = requestIdOf(req, client.isBehindProxy(req))
    res.setHeader('X-Request-Id', id)
    setSecurityHeaders(res)
    if (!isSafe(req)) securityLog.logSuccess(req, res)
    const proceed = () => {
      // A preflight is answered by CORS, so it is counted before. No page reads its status.
      if (req.method === 'OPTIONS') {
        if (!rejectIfLimited(req, res)) allowOrigins(req, res, next)
        return
      }
      // CORS headers come before the limit: a page may read that it asks too often.
      allowOrigins(req, res, () => {
        if (!rejectIfLimited(req, res)) next()
      })
    }
    // Before Node 24 an async context makes every promise dearer, a fifth of a hit in all: it is
    // for lines that nobody else can tell the id.
    if (!logger.isDebugEnabled()) return proceed()
    withRequestId(id, () => {
      logWhenAnswered(req, res, logger)
      proceed()
    })
  }
}

function logWhenAnswered(req: IncomingMessage, res: ServerResponse, logger: Logger): void {
  const startedAt = performance.now()
  // Express rewrites the URL on its way through the routers.
  const request = { method: req.method, path: pathOf(req) }
  const log = () =>
    logger.debug('request answered', {
      ...request,
      status: res.statusCode,
      durationMs: Math.round(performance.now() - startedAt),
    })
  // The connection closes a response, on nobody's behalf: bound, the line keeps the request's id.
  res.once('close', AsyncResource.bind(log))
}
