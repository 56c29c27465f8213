import type { IncomingMessage, ServerResponse } from 'node:http'
import { etagOf } from '../../shared/cache/index.ts'
import { cacheStatus } from './answer.ts'
import type { CompressResponse } from './compress-response.ts'
import { JSON_TYPE, pushVary, type SendTagged } from './send-tagged.ts'
import { Tagged } from './tagged.ts'

/** A value, or its JSON text from the database. */
export type Json = string | object

/** Sends the result of a write with `no-store`, and with its `ETag` if it is tagged. */
export function sendJson(res: ServerResponse, status: number, json: Json | Tagged): void {
  if (!(json instanceof Tagged)) return send(res, status, json, 'no-store')
  res.setHeader('ETag', json.etag)
  send(res, status, json.body, 'no-store')
}

/** A request of Express; `baseUrl` is the path at which its router is mounted. */
type Routed = IncomingMessage & { readonly baseUrl: string }

/** Sends a created resource with 201, and `Location`: its path below the mounted router. */
export function sendCreated(req: Routed, res: ServerResponse, path: string, json: Tagged): void {
  res.setHeader('Location', `${req.baseUrl}${path}`)
  sendJson(res, 201, json)
}

/** Sends the results of reads that are never cached. */
export interface SendReads {
  /** Sends JSON. `why` is the detail of `Cache-Status`. */
  readonly sendPrivate: (
    req: IncomingMessage,
    res: ServerResponse,
    json: Json,
    why?: string,
  ) => void
  /** Sends a writable resource with its `ETag`; 304 if `If-None-Match` matches. */
  readonly sendResource: (
    req: IncomingMessage,
    res: ServerResponse,
    body: string,
  ) => Promise<void> | void
}

export interface SendReadsOptions {
  readonly compressResponse: CompressResponse
  readonly sendTagged: SendTagged
}

export function createSendReads({ compressResponse, sendTagged }: SendReadsOptions): SendReads {
  return {
    sendPrivate(req, res, json, why = 'private') {
      compressResponse(req, res)
      res.setHeader('Cache-Status', statusOf(res, why))
      send(res, 200, json, PRIVATE)
    },

    sendResource(req, res, text) {
      const body = Buffer.from(text)
      const headers = ['Cache-Control', PRIVATE, 'Cache-Status', statusOf(res, 'private')]
      pushVary(res, headers, 'Accept-Encoding')
      return sendTagged(req, res, { body, etag: etagOf(body), isCompressible: true }, headers)
    },
  }
}

const PRIVATE = 'private, no-store'

const statusOf = (res: ServerResponse, detail: string): string =>
  cacheStatus(res, { outcome: 'bypass', detail, ttlMs: 0 })

/** Sends 200 with an empty body, for a read that is never cached. */
export function sendNothing(res: ServerResponse): void {
  res.writeHead(200, { 'Content-Length': 0, 'Cache-Control': PRIVATE }).end()
}

/** Sends 204, for a write without a result. */
export function sendNoContent(res: ServerResponse): void {
  res.writeHead(204, { 'Cache-Control': 'no-store' }).end()
}

function send(res: ServerResponse, status: number, json: Json, cacheControl: string): void {
  const body = typeof json === 'string' ? json : JSON.stringify(json)
  res
    .writeHead(status, {
      'Content-Type': JSON_TYPE,
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': cacheControl,
    })
    .end(body)
}
