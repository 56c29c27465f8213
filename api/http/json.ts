import type { ServerResponse } from 'node:http'
import { cacheStatus } from './answer.ts'

/** What is sent: a value, or its JSON text as the database wrote it. */
export type Json = string | object

/** Sends the result of a write, which nothing may keep. */
export function sendJson(res: ServerResponse, status: number, json: Json): void {
  send(res, status, json, 'no-store')
}

/** Sends a read that is never cached: it is one person's alone, or `why` says what else. */
export function sendPrivate(res: ServerResponse, json: Json, why = 'private'): void {
  res.setHeader('Cache-Status', cacheStatus({ outcome: 'bypass', detail: why, ttlMs: 0 }))
  send(res, 200, json, 'private, no-store')
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
