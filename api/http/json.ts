import type { IncomingMessage, ServerResponse } from 'node:http'
import { cacheStatus, matches } from './answer.ts'
import { Tagged, tagOf } from './tagged.ts'

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

/** Sends the result of a read that is never cached. `why` is the detail of `Cache-Status`. */
export function sendPrivate(res: ServerResponse, json: Json, why = 'private'): void {
  res.setHeader('Cache-Status', cacheStatus(res, { outcome: 'bypass', detail: why, ttlMs: 0 }))
  send(res, 200, json, 'private, no-store')
}

/**
 * Sends a writable resource that is never cached, with its `ETag`; 304 if `If-None-Match` matches.
 */
export function sendResource(req: IncomingMessage, res: ServerResponse, body: string): void {
  const etag = tagOf(body)
  res.setHeader('ETag', etag)
  if (matches(req.headers['if-none-match'], etag)) {
    res.writeHead(304, { 'Cache-Control': 'private, no-store' }).end()
    return
  }
  sendPrivate(res, body)
}

/** Sends 200 with an empty body, for a read that is never cached. */
export function sendNothing(res: ServerResponse): void {
  res.writeHead(200, { 'Content-Length': 0, 'Cache-Control': 'private, no-store' }).end()
}

/** Sends 204, for a write without a result. */
export function sendNoContent(res: ServerResponse): void {
  res.writeHead(204, { 'Cache-Control': 'no-store' }).end()
}

function send(res: ServerResponse, status: number, json: Json, cacheControl: string): void {
  const body = typeof json === 'string' ? json : JSON.stringify(json)
  res
    .writeHead(status, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': cacheControl,
    })
    .end(body)
}
