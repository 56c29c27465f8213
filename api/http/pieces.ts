import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { cacheStatus } from './answer.ts'
import { JSON_TYPE } from './send-tagged.ts'
import { errorCode } from '../../db/event-log/index.ts'

/** A file as which a browser saves a response. */
export interface Attachment {
  /** Its media type. */
  readonly type: string
  readonly fileName: string
}

/**
 * Streams the result of a read that is never cached and too large to buffer, as pieces of text. The
 * next piece is produced when the client has received the previous one; none after it has disconnected.
 * An error closes the connection, so that clients detect an incomplete response.
 */
export async function sendPieces(
  req: IncomingMessage,
  res: ServerResponse,
  pieces: AsyncIterable<string>,
  attachment?: Attachment,
): Promise<void> {
  res.writeHead(200, {
    'Content-Type': attachment?.type ?? JSON_TYPE,
    ...(attachment && {
      'Content-Disposition': `attachment; filename="${attachment.fileName}"`,
    }),
    'Cache-Control': 'private, no-store',
    'Cache-Status': cacheStatus(res, { outcome: 'bypass', detail: 'private', ttlMs: 0 }),
  })
  if (req.method === 'HEAD') {
    res.end()
    return
  }
  try {
    await pipeline(Readable.from(pieces, { highWaterMark: 1 }), res)
  } catch (error) {
    if (!isClientDisconnect(error)) throw error
  }
}

/** Whether the stream ended because the client disconnected. */
const isClientDisconnect = (error: unknown) => errorCode(error) === 'ERR_STREAM_PREMATURE_CLOSE'
