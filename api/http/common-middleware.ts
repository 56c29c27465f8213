import { AsyncResource } from 'node:async_hooks'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from 'winston'
import type { Client } from './client.ts'
import { addCommonHeaders } from './common-headers.ts'
import { createCors } from './cors.ts'
import { pathOf } from './problem.ts'
import { createRateLimit } from './rate-limit.ts'
import { chooseRequestId, withRequestId } from './request-id.ts'
import { isSafe } from './safe-method.ts'
import { securityHeaders } from './security-headers.ts'
import type { SecurityLog } from './security-log.ts'

/** Middleware that runs before all others and does not depend on Express. */
export type Middleware = (req: IncomingMessage, res: ServerResponse, next: () => void) => void

export interface CommonMiddlewareOptions {
  readonly client: Client
  readonly logger: Logger
  readonly securityLog: SecurityLog
  /** Origins whose pages may use the API from a browser. */
  readonly corsOrigins: readonly string[]
  /** Rate limit of each client; 0 disables it. */
  readonly rateLimit: { readonly perS: number; readonly burst: number }
}

/** Creates middleware for request ids, security headers, CORS, rate limits, and the security log. */
export function createCommonMiddleware(options: CommonMiddlewareOptions): Middleware {
  const { client, logger, securityLog, corsOrigins, rateLimit } = options
  const constantHeaders = securityHeaders()
  const allowOrigins = createCors(corsOrigins)
  const rejectIfLimited = createRateLimit(client, rateLimit, securityLog)

  return (req, res, next) => {
    const id = chooseRequestId(req, client.isBehindProxy(req))
    addCommonHeaders(res, ['X-Request-Id', id, ...constantHeaders])
    if (!isSafe(req)) securityLog.logSuccess(req, res)
    const proceed = () => {
      // The CORS middleware answers preflights, so their rate limit comes first.
      if (req.method === 'OPTIONS') {
        if (!rejectIfLimited(req, res)) allowOrigins(req, res, next)
        return
      }
      // CORS headers come before the rate limit, so that pages can read a 429.
      allowOrigins(req, res, () => {
        if (!rejectIfLimited(req, res)) next()
      })
    }
    // Before Node 24 an async context slows down every promise and costs a cache hit 20 %.
    // It is only needed for the request ids of debug lines.
    if (logger.level !== 'debug') return proceed()
    withRequestId(id, () => {
      logWhenAnswered(req, res, logger)
      proceed()
    })
  }
}

function logWhenAnswered(req: IncomingMessage, res: ServerResponse, logger: Logger): void {
  const startedAt = performance.now()
  // Captured now, because Express rewrites `req.url` in each router.
  const request = { method: req.method, path: pathOf(req) }
  const log = () =>
    logger.debug('request answered', {
      ...request,
      status: res.statusCode,
      durationMs: Math.round(performance.now() - startedAt),
    })
  // `close` is emitted outside the async context of the request; `bind` keeps the request id.
  res.once('close', AsyncResource.bind(log))
}
