import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'

/** Encoding of a body that is not plain. */
export type Encoding = 'gzip'

export interface CompressionOptions {
  /** Shorter bodies stay plain, in bytes. */
  readonly minBytes: number
  /** Level of gzip, from 1 to 9; 0 disables compression. */
  readonly level: number
}

/** Default compression. Higher levels take longer and save little. */
export const COMPRESSION: CompressionOptions = { minBytes: 1_024, level: 6 }

/** A body with its encoding. */
export interface Encoded {
  readonly body: Buffer
  readonly encoding?: Encoding | undefined
}

// Both run in threads of libuv, so they do not delay other requests.
const gzipAsync = promisify(gzip)
const inflateAsync = promisify(gunzip)

/** The first bytes of gzip, and its shortest length. Its last four bytes are the plain length. */
export const GZIP = { magic: [0x1f, 0x8b, 8], shortest: 18 } as const

/** Returns gzip of a body. Level 0 only wraps it. */
export const compressGzip = (body: Buffer, level: number): Promise<Buffer> =>
  gzipAsync(body, { level })

/** Compresses a body, unless it does not become shorter. Returns null at once for one that is too short. */
export function compress(
  body: Buffer,
  { minBytes, level }: CompressionOptions,
): Promise<Encoded> | null {
  if (level === 0 || body.length < minBytes) return null
  return compressGzip(body, level).then((compressed) =>
    compressed.length < body.length ? { body: compressed, encoding: 'gzip' } : { body },
  )
}

/**
 * Returns the plain body. It allocates no more than the plain length that the trailer states, which readers
 * have compared with the size limit.
 * @throws Error if the compressed bytes are damaged, or inflate to another length.
 */
export async function inflate({ body, encoding }: Encoded): Promise<Buffer> {
  if (encoding === undefined) return body
  const length = plainLength(body)
  // Node rejects 0.
  const plain = await inflateAsync(body, { maxOutputLength: Math.max(1, length) })
  if (plain.length !== length)
    throw new Error('a compressed body has another length than it states')
  return plain
}

/** Returns the plain length that compressed bytes state. It is enough for `Content-Length`. */
export const plainLength = (gzipped: Buffer): number => gzipped.readUInt32LE(gzipped.length - 4)

/** Whether bytes can be gzip, by their first bytes and their length. */
export const isGzip = (bytes: Buffer): boolean =>
  bytes.length >= GZIP.shortest && GZIP.magic.every((byte, at) => bytes[at] === byte)
