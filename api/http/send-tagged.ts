import type { IncomingMessage, ServerResponse } from 'node:http'
import vary from 'vary'
import {
  type CompressionOptions,
  compressGzip,
  type Encoding,
  inflate,
  plainLength,
} from '../../shared/cache/index.ts'
import { type Accepted, acceptedBy, heldTag, tagIn } from './encoding.ts'

/** A body with a strong entity tag. */
export interface TaggedBody {
  readonly body: Buffer
  /** Encoding of `body`; by default none. */
  readonly encoding?: Encoding | undefined
  /** Tag of the plain body. */
  readonly etag: string
  /** Whether a plain body is compressed for this response, because no compressed one will be stored. */
  readonly isCompressible: boolean
}

/**
 * Sends a body with 200, or 304 if the client has it. A response to `HEAD` is the same without a body.
 * `headers` are names and values; they contain `Vary`.
 */
export type SendTagged = (
  req: IncomingMessage,
  res: ServerResponse,
  tagged: TaggedBody,
  headers: string[],
) => Promise<void> | void

/** The media type of JSON. */
export const JSON_TYPE = 'application/json; charset=utf-8'

export function createSendTagged({ minBytes, level }: CompressionOptions): SendTagged {
  /** Returns the encoding to send. A client that rejects both gets a plain body, as RFC 9110 permits. */
  const choose = (tagged: TaggedBody, accepted: Accepted): Encoding | undefined => {
    if (!accepted.prefersGzip) return undefined
    if (tagged.encoding !== undefined || !accepted.plain) return 'gzip'
    const isLong = level > 0 && tagged.body.length >= minBytes
    return tagged.isCompressible && isLong ? 'gzip' : undefined
  }

  return (req, res, tagged, headers) => {
    const accepted = acceptedBy(req)
    const encoding = choose(tagged, accepted)
    const held = heldTag(req.headers['if-none-match'], tagged.etag, encoding, accepted)
    if (held !== undefined) {
      headers.push('ETag', held)
      res.writeHead(304, headers).end()
      return
    }
    headers.push('ETag', tagIn(tagged.etag, encoding), 'Content-Type', JSON_TYPE)
    if (encoding !== undefined) headers.push('Content-Encoding', encoding)
    const send = (body: Buffer): void => {
      headers.push('Content-Length', String(body.length))
      res.writeHead(200, headers).end(body)
    }
    if (encoding === tagged.encoding) return send(tagged.body)
    if (encoding === 'gzip') return compressGzip(tagged.body, level).then(send)
    if (req.method !== 'HEAD') return inflate(tagged).then(send)
    headers.push('Content-Length', String(plainLength(tagged.body)))
    res.writeHead(200, headers).end()
  }
}

/** Adds to `headers` that a response depends on these fields of the request, besides those that are set. */
export function pushVary(res: ServerResponse, headers: string[], fields: string): void {
  // The CORS middleware may have set `Vary: Origin`.
  if (res.hasHeader('Vary')) vary(res, fields)
  else headers.push('Vary', fields)
}
