import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants } from 'node:zlib'
import compression from 'compression'
import type { Request, Response } from 'express'
import vary from 'vary'
import type { CompressionOptions } from '../../shared/cache/index.ts'
import { acceptedBy } from './encoding.ts'
import { isSafe } from './safe-method.ts'

/**
 * Lets the response be compressed while it is sent. Call it before the first header is written. Responses
 * with a strong entity tag are sent by `sendTagged` instead.
 *
 * Only answers to reads are compressed. The length of a compressed body may reveal a secret in it to an
 * attacker who chooses another part of it (BREACH). Answers to a log-in and to other writes stay plain, and
 * no body of a read contains a token of the session.
 */
export type CompressResponse = (req: IncomingMessage, res: ServerResponse) => void

/** With a larger window, Brotli holds back an export of several MB until its end. */
const BROTLI = { [constants.BROTLI_PARAM_QUALITY]: 4, [constants.BROTLI_PARAM_LGWIN]: 18 }

export function createCompressResponse({ minBytes, level }: CompressionOptions): CompressResponse {
  const filter = (req: Request, res: Response): boolean => {
    if (res.statusCode !== 200 || !compression.filter(req, res)) return false
    // A GET would send another length, which is known only after the compression.
    if (req.method === 'HEAD' && Number(res.getHeader('Content-Length')) >= minBytes) {
      res.removeHeader('Content-Length')
    }
    return true
  }
  const options = { level, brotli: { params: BROTLI }, filter }
  const compress = compression({ ...options, threshold: minBytes })
  const compressAll = compression({ ...options, threshold: 0 })

  return (req, res) => {
    if (level === 0 || !isSafe(req)) return
    // Also for responses that are too short, and for 304.
    vary(res, 'Accept-Encoding')
    const use = acceptedBy(req).plain ? compress : compressAll
    use(req as Request, res as Response, () => {})
  }
}
