import type { IncomingMessage } from 'node:http'
import express, { type RequestHandler } from 'express'
import { PublicError } from '../../shared/errors.ts'

/** Why the body of a request was not read. */
const FAILURE = Symbol('failure of the body')

interface Read extends IncomingMessage {
  [FAILURE]?: unknown
}

/**
 * Reads JSON and no other kind of body: a form on another site can send none of this kind. What is
 * wrong with a body matters once a route takes the request: `requireReadable` throws it there, so
 * that an unknown path is 404 whatever is sent to it.
 */
export function readJson(limit: number): RequestHandler {
  const parse = express.json({ limit })
  return (req: Parameters<RequestHandler>[0] & Read, res, next) => {
    const { 'content-length': length, 'transfer-encoding': encoding } = req.headers
    if (encoding === undefined && (length === undefined || length === '0')) return next()
    const fail = (error?: unknown) => {
      if (error !== undefined) req[FAILURE] = error
      next()
    }
    if (req.is('application/json') !== false) return parse(req, res, fail)
    if (encoding === undefined) return fail(unsupported(req))
    // Only the end of a chunked body shows that it is empty.
    void isEmpty(req).then((empty) => fail(empty ? undefined : unsupported(req)))
  }
}

/** @throws what went wrong when the body of a request was read. */
export function requireReadable(req: Read): void {
  if (req[FAILURE] !== undefined) throw req[FAILURE]
}

const unsupported = ({ headers }: IncomingMessage) =>
  new PublicError(
    'unsupported_media_type',
    `Unsupported media type "${headers['content-type'] ?? ''}" in request.`,
  )

/** Whether a body ends before anything came. The rest of another one is discarded. */
const isEmpty = (req: IncomingMessage): Promise<boolean> =>
  new Promise((resolve) => {
    req.once('data', () => {
      resolve(false)
      req.resume()
    })
    req.once('end', () => resolve(true))
    req.once('close', () => resolve(false))
  })
