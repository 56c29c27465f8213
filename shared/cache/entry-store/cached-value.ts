import { hash } from 'node:crypto'
import { CLOCK_SLACK_MS } from '../redis/clock.ts'
import { type Encoding, isGzip, plainLength } from './compression.ts'

/**
 * Value that Redis stores for one variant: a fixed header, then the finished response bytes. A hit
 * is checked and answered from it without parsing the body.
 *
 *      0  format       u8       1: a plain body, or none. 2: a body that is compressed with gzip.
 *      1  flags        u8       bit 0: the entity does not exist; bit 1: the body is too large to be
 *                               stored. In both cases there is no body.
 *      2  incarnation  16 bytes incarnation of the database that was read.
 *     18  leasedAt     f64      Redis milliseconds. The data is at least as recent as this.
 *     26  freshUntil   f64      Redis milliseconds.
 *     34  staleUntil   f64      Redis milliseconds. Until then the value may replace a failed load.
 *     42  etag         16 bytes of the plain body's SHA-256.
 *     58  body
 *
 * A build that knows only format 1 treats compressed values as absent, and stores plain ones, which this
 * build reads.
 */
export interface CachedValue {
  readonly incarnation: string
  readonly leasedAtMs: number
  readonly freshUntilMs: number
  readonly staleUntilMs: number
  /** Tag of the plain body, in quotes. */
  readonly etag: string
  /** Encoding of the body; by default none. */
  readonly encoding?: Encoding | undefined
  /**
   * `null`: the entity does not exist. `too large`: it exists but is never stored, so readers must not
   * wait for a fill. The etag then only identifies this marker.
   */
  readonly body: Buffer | null | 'too large'
}

const FORMAT = 1
const GZIP_FORMAT = 2
const ABSENT = 1
const TOO_LARGE = 2
const OFFSET = {
  flags: 1,
  incarnation: 2,
  leasedAt: 18,
  freshUntil: 26,
  staleUntil: 34,
  etag: 42,
  body: 58,
} as const

/** The layout of a cached value for the Lua scripts that check it. Offsets count from 1; `body` is a length. */
export const LUA_LAYOUT = {
  format: FORMAT,
  gzipFormat: GZIP_FORMAT,
  /** Length of the header, and of the shortest value. */
  body: OFFSET.body,
  incarnation: OFFSET.incarnation + 1,
  incarnationEnd: OFFSET.leasedAt,
  /** `leasedAt`, followed by `freshUntil`. */
  times: OFFSET.leasedAt + 1,
} as const

/** Returns a UUID as 32 hexadecimal digits without hyphens, as cached values store and compare it. */
export const bareUuid = (uuid: string) => uuid.replaceAll('-', '')

/** Encodes a cached value into the bytes to store. */
export function encodeValue(cached: CachedValue): Buffer {
  const head = Buffer.alloc(OFFSET.body)
  head.writeUInt8(cached.encoding === 'gzip' ? GZIP_FORMAT : FORMAT, 0)
  head.writeUInt8(flagsOf(cached.body), OFFSET.flags)
  head.write(bareUuid(cached.incarnation), OFFSET.incarnation, 'hex')
  head.writeDoubleBE(cached.leasedAtMs, OFFSET.leasedAt)
  head.writeDoubleBE(cached.freshUntilMs, OFFSET.freshUntil)
  head.writeDoubleBE(cached.staleUntilMs, OFFSET.staleUntil)
  head.write(cached.etag.slice(1, -1), OFFSET.etag, 'base64url')
  return Buffer.isBuffer(cached.body) ? Buffer.concat([head, cached.body]) : head
}

const flagsOf = (body: CachedValue['body']): number =>
  body === null ? ABSENT : body === 'too large' ? TOO_LARGE : 0

/** Decodes stored bytes; `null` for bytes of another format. */
export function decodeValue(bytes: Buffer | null): CachedValue | null {
  if (bytes === null || bytes.length < OFFSET.body) return null
  const isCompressed = bytes[0] === GZIP_FORMAT
  if (!isCompressed && bytes[0] !== FORMAT) return null
  const flags = bytes[OFFSET.flags] as number
  const body = bytes.subarray(OFFSET.body)
  if (isCompressed && (flags !== 0 || !isGzip(body))) return null
  return {
    incarnation: bytes.toString('hex', OFFSET.incarnation, OFFSET.leasedAt),
    leasedAtMs: bytes.readDoubleBE(OFFSET.leasedAt),
    freshUntilMs: bytes.readDoubleBE(OFFSET.freshUntil),
    staleUntilMs: bytes.readDoubleBE(OFFSET.staleUntil),
    etag: `"${bytes.toString('base64url', OFFSET.etag, OFFSET.body)}"`,
    body: flags === 0 ? body : (flags & ABSENT) !== 0 ? null : 'too large',
    ...(isCompressed && { encoding: 'gzip' }),
  }
}

/** Returns the length of the plain body, in bytes. */
export function plainLengthOf({ body, encoding }: CachedValue): number {
  if (!Buffer.isBuffer(body)) return 0
  return encoding === undefined ? body.length : plainLength(body)
}

/**
 * Returns whether a fill can have written these times: leased at most `CLOCK_SLACK_MS` in the future, and
 * fresh for no longer than the TTL. Other values were restored or corrupted, and their age is unknown.
 */
export const isPlausible = (cached: CachedValue, ttlMs: number, nowMs: number): boolean =>
  cached.leasedAtMs <= nowMs + CLOCK_SLACK_MS && cached.freshUntilMs <= cached.leasedAtMs + ttlMs

/** Length of the header, in bytes. */
export const HEADER_BYTES = OFFSET.body

/** Returns a strong entity tag. Equal bytes have equal tags in every process. */
export function etagOf(body: Buffer | null): string {
  const digest = hash('sha256', body ?? '', 'buffer')
  return `"${digest.toString('base64url', 0, OFFSET.body - OFFSET.etag)}"`
}
