import type { IncomingMessage, ServerResponse } from 'node:http'
import { cacheStatus, matches } from './answer.ts'
import { Tagged, tagOf } from './tagged.ts'

/** What is sent: a value, or its JSON text as the database wrote it. */
export type Json = string | object

/** Sends the result of a write, which nothing may keep. */
export function sendJson(res: ServerResponse, status: number, json: Json | Tagged): void {
  if (!(json instanceof Tagged)) return send(res, status, json, 'no-store')
  res.setHeader('ETag', json.etag)
  send(res, status, json.body, 'no-store')
}

/** A request as a router passes it on: with the path that the router is mounted at. */
type Routed = IncomingMessage & { readonly baseUrl: string }

/**
 * Sends what a write has created, with its address in `Location`. `:id` in the path is the id that
 * the JSON begins with: `sendCreated(req, res, '/agencies/branches/:id', branch)`.
 */
export function sendCreated(req: Routed, res: ServerResponse, path: string, json: Tagged): void {
  const [, id] = /^\{\s*"id"\s*:\s*(\d+)/.exec(json.body) ?? []
  if (id === undefined && path.includes(':id')) throw new Error('what was created has no id')
  res.setHeader('Location', `${req.baseUrl}${path.replace(':id', id ?? '')}`)
  sendJson(res, 201, json)
}

/** Sends a read that is never cached: it is one person's alone, or `why` says what else. */
export function sendPrivate(res: ServerResponse, json: Json, why = 'private'): void {
  res.setHeader('Cache-Status', cacheStatus({ outcome: 'bypass', detail: why, ttlMs: 0 }))
  send(res, 200, json, 'private, no-store')
}

/** Sends a resource that is never cached and may be written: with its entity tag, or 304. */
export function sendResource(req: IncomingMessage, res: ServerResponse, body: string): void {
  const etag = tagOf(body)
  res.setHeader('ETag', etag)
  if (matches(req.headers['if-none-match'], etag)) {
    res.writeHead(304, { 'Cache-Control': 'private, no-store' }).end()
    return
  }
  sendPrivate(res, body)
}

/** Answers a read that is never cached with nothing at all. */
export function sendNothing(res: ServerResponse): void {
  res.writeHead(200, { 'Content-Length': 0, 'Cache-Control': 'private, no-store' }).end()
}

/** Says that a write is done and leaves nothing to show. */
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
