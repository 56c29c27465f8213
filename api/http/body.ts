import type { IncomingMessage } from 'node:http'
import express, { type RequestHandler } from 'express'
import { PublicError } from '../../shared/errors.ts'
import { isForm } from './form.ts'

/** Property of a request: the error of reading its body. */
const FAILURE = Symbol('failure of the body')

interface Read extends IncomingMessage {
  [FAILURE]?: unknown
}

/**
 * Creates middleware that reads JSON bodies only: a form on another site cannot send JSON. The few endpoints
 * that accept forms read them later, after they have checked access. An error is
 * stored, and `requireReadable` throws it after a route has matched. An unknown path is therefore
 * rejected with 404 even if the body is invalid.
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
    // Its body is left to the endpoint.
    if (isForm(req)) return fail(unsupported(req))
    if (req.is('application/json') !== false) return parse(req, res, fail)
    if (encoding === undefined) return fail(unsupported(req))
    // A chunked body has no length: it is empty if it ends without data.
    void isEmpty(req).then((empty) => fail(empty ? undefined : unsupported(req)))
  }
}

/** @throws the error that `readJson` stored, if any. */
export function requireReadable(req: Read): void {
  if (req[FAILURE] !== undefined) throw req[FAILURE]
}

const unsupported = ({ headers }: IncomingMessage) =>
  new PublicError(
    'unsupported_media_type',
    `Unsupported media type "${headers['content-type'] ?? ''}" in request.`,
  )

/** Whether a body ends without data. The data of a body that is not empty is discarded. */
const isEmpty = (req: IncomingMessage): Promise<boolean> =>
  new Promise((resolve) => {
    req.once('data', () => {
      resolve(false)
      req.resume()
    })
    req.once('end', () => resolve(true))
    req.once('close', () => resolve(false))
  })
