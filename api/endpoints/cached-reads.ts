import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ErrorRequestHandler, Request, Response } from 'express'
import findMyWay from 'find-my-way'
import type { AppDeps } from '../deps.ts'
import type { Middleware } from '../http/common-middleware.ts'
import type { Endpoint, Handler } from './endpoint.ts'

/** Handles a request and returns true, or leaves it to Express and returns false. */
export type AnswerCached = (req: IncomingMessage, res: ServerResponse) => boolean

export interface CachedReadsOptions {
  /** Path at which the endpoints are mounted, such as `/api/v1`. */
  readonly base: string
  /** Runs before the handler. */
  readonly middleware: Middleware
  readonly onError: ErrorRequestHandler
}

/** A cached endpoint, or null for a path that has none. */
type Route = { readonly path: string; readonly handler: Handler } | null

const NO_QUERY = {}
/** Longer segments are left to Express. No id is this long. */
const MAX_SEGMENT = 100

/**
 * Creates the table of cached endpoints, which answers their requests without Express: Express would take
 * longer than a hit. It runs the same functions in the same order as Express does. Every unusual request is left
 * to Express: with a body, an escaped path or another method.
 */
export function createCachedReads(
  endpoints: readonly Endpoint[],
  deps: AppDeps,
  { base, middleware, onError }: CachedReadsOptions,
): AnswerCached {
  const table = findMyWay({
    caseSensitive: true,
    maxParamLength: MAX_SEGMENT,
    querystringParser: () => NO_QUERY,
  })
  // All paths, since a literal path without a cached endpoint wins over a parameter.
  for (const path of new Set(endpoints.map((endpoint) => endpoint.path))) {
    const cached = endpoints.find((one) => one.path === path && one.isCached)
    const route: Route = cached ? { path, handler: cached.createHandler(deps) } : null
    table.on('GET', `${base}${path}`, () => {}, route)
  }

  return (req, res) => {
    const { method, url = '' } = req
    if (method !== 'GET' && method !== 'HEAD') return false
    if (url.includes('%') || url.includes('#') || hasBody(req)) return false
    const found = table.find('GET', url)
    const route = found?.store as Route | undefined
    if (!found || !route) return false
    const params = found.params as Record<string, string>
    for (const name in params) if (params[name] === '') return false

    // Express would set these.
    const { path } = route
    Object.assign(req, { res, params, route: { path }, originalUrl: url, baseUrl: base })
    const expressReq = req as Request
    const expressRes = res as Response
    const fail = (error: unknown): void =>
      onError(error, expressReq, expressRes, () => req.socket.destroy()) as void
    try {
      middleware(req, res, () => {
        const handled = route.handler(expressReq, expressRes)
        if (handled) handled.catch(fail)
      })
    } catch (error) {
      fail(error)
    }
    return true
  }
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
