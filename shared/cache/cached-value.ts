import { hash } from 'node:crypto'
import { CLOCK_SLACK_MS } from './clock.ts'

/**
 * What Redis holds for one variant: a fixed header, then the finished response bytes. A hit is
 * judged and answered from it without parsing anything.
 *
 *      0  format       u8
 *      1  flags        u8       bit 0: the thing does not exist; bit 1: it is too large to be
 *                               stored. In both cases there is no body
 *      2  incarnation  16 bytes the life of the database it was read in
 *     18  leasedAt     f64      Redis milliseconds: what it says is at least as young as this
 *     26  freshUntil   f64
 *     34  staleUntil   f64      until then it may stand in for a load that failed
 *     42  etag         16 bytes of the body's SHA-256
 *     58  body
 */
export interface CachedValue {
  readonly incarnation: string
  readonly leasedAtMs: number
  readonly freshUntilMs: number
  readonly staleUntilMs: number
  /** Quoted, as it is sent. */
  readonly etag: string
  /**
   * `null`: the thing does not exist. `too large`: it exists and is never stored, so there is no
   * fill to wait for; the etag then is no more than a name of this frame.
   */
  readonly body: Buffer | null | 'too large'
}

const FORMAT = 1
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

/** Where the scripts find what they judge a frame by; Lua counts from 1. */
export const LUA_OFFSETS = {
  format: FORMAT,
  shortest: OFFSET.body,
  incarnation: OFFSET.incarnation + 1,
  incarnationEnd: OFFSET.leasedAt,
  /** `leasedAt` and `freshUntil` behind each other. */
  times: OFFSET.leasedAt + 1,
} as const

/** A UUID as frames have it, and by which they are compared: 32 hexadecimal digits. */
export const bareUuid = (uuid: string) => uuid.replaceAll('-', '')

/** The bytes to store. */
export function encodeValue(cached: CachedValue): Buffer {
  const head = Buffer.alloc(OFFSET.body)
  head.writeUInt8(FORMAT, 0)
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

/** Reads what is stored; `null` for anything that this build did not write. */
export function decodeValue(bytes: Buffer | null): CachedValue | null {
  if (bytes === null || bytes.length < OFFSET.body || bytes[0] !== FORMAT) return null
  const flags = bytes[OFFSET.flags] as number
  return {
    incarnation: bytes.toString('hex', OFFSET.incarnation, OFFSET.leasedAt),
    leasedAtMs: bytes.readDoubleBE(OFFSET.leasedAt),
    freshUntilMs: bytes.readDoubleBE(OFFSET.freshUntil),
    staleUntilMs: bytes.readDoubleBE(OFFSET.staleUntil),
    etag: `"${bytes.toString('base64url', OFFSET.etag, OFFSET.body)}"`,
    body: flags === 0 ? bytes.subarray(OFFSET.body) : (flags & ABSENT) !== 0 ? null : 'too large',
  }
}

/**
 * Whether a frame's times can be those of a fill: not leased in the future, and fresh for no longer
 * than its resource is kept. Others were restored or corrupted, and nothing is known of their age.
 */
export const isPlausible = (cached: CachedValue, ttlMs: number, nowMs: number): boolean =>
  cached.leasedAtMs <= nowMs + CLOCK_SLACK_MS && cached.freshUntilMs <= cached.leasedAtMs + ttlMs

/** How much longer the stored bytes of a variant are than its body. */
export const HEADER_BYTES = OFFSET.body

/** A strong validator: equal bytes have equal tags, in every process. */
export function etagOf(body: Buffer | null): string {
  const digest = hash('sha256', body ?? '', 'buffer')
  return `"${digest.toString('base64url', 0, OFFSET.body - OFFSET.etag)}"`
}
