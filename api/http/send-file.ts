import { pipeline } from 'node:stream/promises'
import type { Request, Response } from 'express'
import type { ByteRange, StoredFile } from '../files/storage.ts'
import { PublicError } from '../../shared/errors.ts'

export interface FileHeaders {
  readonly type: string
  readonly cacheControl: string
}

/** Sends a file or one range of it, 304 if the client has it, or 416 for a range outside of it. */
export async function sendFile(
  req: Request,
  res: Response,
  file: StoredFile,
  { type, cacheControl }: FileHeaders,
): Promise<void> {
  res.set({
    ETag: file.etag,
    'Last-Modified': file.modifiedAt.toUTCString(),
    'Cache-Control': cacheControl,
    Vary: 'Cookie, Authorization, Origin',
    // Pages of the same site may show images: the front end can have another port or host name.
    'Cross-Origin-Resource-Policy': 'same-site',
  })
  if (req.fresh) {
    res.writeHead(304).end()
    return
  }
  const range = rangeOf(req, res, file)
  const { start, end } = range ?? { start: 0, end: file.size - 1 }
  const length = end - start + 1
  // Before the status, so that a failure can be answered with an error.
  const body =
    req.method === 'HEAD' || length === 0 ? null : await readOrClear(res, file, { start, end })
  res.writeHead(range ? 206 : 200, {
    'Accept-Ranges': 'bytes',
    'Content-Type': type,
    'Content-Length': length,
    ...(range && { 'Content-Range': `bytes ${start}-${end}/${file.size}` }),
  })
  if (body === null) {
    res.end()
    return
  }
  // The status has been sent, so a failure can only end the connection.
  await pipeline(body, requireLength(length), res).catch(() => res.destroy())
}

/**
 * Fails if a file ends early, because another program replaced its content. The client would otherwise take
 * the next response for the rest of the file.
 */
const requireLength = (length: number) =>
  async function* (chunks: AsyncIterable<Buffer>) {
    let left = length
    for await (const chunk of chunks) {
      left -= chunk.length
      yield chunk
    }
    if (left !== 0) throw new Error('the file is shorter than it was')
  }

/** Reads a file. If that fails, the response keeps no header of the file. */
async function readOrClear(res: Response, file: StoredFile, range: ByteRange) {
  try {
    return await file.read(range)
  } catch (error) {
    clearValidators(res)
    throw error
  }
}

function clearValidators(res: Response): void {
  for (const name of ['ETag', 'Last-Modified']) res.removeHeader(name)
}

/** Returns the single range that a request asks for. Several ranges are answered with the whole file. */
function rangeOf(req: Request, res: Response, { size, etag, modifiedAt }: StoredFile) {
  const condition = req.headers['if-range']
  if (req.method !== 'GET') return undefined
  if (condition !== undefined && condition !== etag && condition !== modifiedAt.toUTCString()) {
    return undefined
  }
  const ranges = req.range(size)
  if (ranges === -1) {
    clearValidators(res)
    res.set('Content-Range', `bytes */${size}`)
    throw new PublicError('range_not_satisfiable', 'The file has no such range.')
  }
  if (ranges === undefined || ranges === -2 || ranges.type !== 'bytes') return undefined
  return ranges.length === 1 ? ranges[0] : undefined
}
