import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { cacheStatus } from './answer.ts'

/**
 * Sends a read that is never cached and too big to hold, as pieces of JSON text: each is made when
 * the client has taken the one before, and none any more when it has gone away. An error in the
 * middle cuts the connection, so that nobody takes a part for the whole.
 */
export async function sendPieces(
  req: IncomingMessage,
  res: ServerResponse,
  pieces: AsyncIterable<string>,
): Promise<void> {
  res.writeHead(200, {
    'Content-Type': 'application/json; charset=utf-8',
    'Cache-Control': 'private, no-store',
    'Cache-Status': cacheStatus({ outcome: 'bypass', detail: 'private', ttlMs: 0 }),
  })
  if (req.method === 'HEAD') {
    res.end()
    return
  }
  try {
    await pipeline(Readable.from(pieces, { highWaterMark: 1 }), res)
  } catch (error) {
    if (!hasGone(error)) throw error
  }
}

/** Whether it was the client who ended it. */
const hasGone = (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE'
