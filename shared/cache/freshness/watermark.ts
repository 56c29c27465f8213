import { type DatabaseIdentity, parseSnapshot, type Snapshot } from '../../../db/event-log/index.ts'
import { CLOCK_SLACK_MS } from '../redis/clock.ts'

/**
 * Progress of a resource in one Redis. It is stored in that Redis only, and the invalidator continues
 * from it. A failover or a restored file that loses invalidations also loses the watermark after them.
 * So a stored watermark never claims an invalidation that was lost.
 */
export interface Watermark extends DatabaseIdentity {
  /** Every commit visible in this snapshot has been applied. */
  readonly snapshot: Snapshot
  /** Clock's time in ms, read before the snapshot was taken: measures freshness, not progress. */
  readonly asOfMs: number
  /** Number of applied parts of the next window. Parts are repeated after a crash. */
  readonly part: number
  /** Version of the keys that may be read and filled; `DISABLED` while none may. */
  readonly keyVersion: number
  /** Fingerprint of the rules that were applied, and of the triggers when they were last intact. */
  readonly fingerprint: string
}

/** Key version while no entry can be trusted, because triggers are damaged or missing. */
export const DISABLED = 0

/** Snapshot of a first flush that is not complete. It claims nothing and decodes as no watermark. */
export const NOTHING_SEEN: Snapshot = { xmin: 0n, xmax: 0n, xip: [], text: '0:0:' }

/**
 * Returns how long ago the moment is up to which everything has been applied. A watermark from the
 * future was restored or corrupted and proves no freshness, so its age is infinite.
 */
export const ageMsOf = ({ asOfMs }: Watermark, nowMs: number): number =>
  asOfMs <= nowMs + CLOCK_SLACK_MS ? Math.max(0, nowMs - asOfMs) : Infinity

/** Encodes a watermark. The order of fields is fixed, so that equal watermarks are equal bytes. */
export const encodeWatermark = (mark: Watermark): string =>
  `${mark.incarnation} ${mark.origin} ${mark.snapshot.text} ${mark.asOfMs} ${mark.part} ${mark.keyVersion} ${mark.fingerprint}`

/** Returns the beginning of an encoded watermark, which is the same for all resources of a window. */
export function sharedPartOf(text: string): string {
  let end = text.length
  for (let field = 0; field < FIELDS_OF_ONE_RESOURCE && end > 0; field++) {
    end = text.lastIndexOf(' ', end - 1)
  }
  return text.slice(0, Math.max(end, 0))
}
/** Part, key version and fingerprint. */
const FIELDS_OF_ONE_RESOURCE = 3

/**
 * Whether no build wrote a stored text. A first flush that is not complete is no watermark, but
 * valid.
 */
export const isUnreadable = (text: string | null): boolean =>
  text !== null && decodeWatermark(text) === null && !text.includes(` ${NOTHING_SEEN.text} `)

/** Decodes a stored watermark; `null` if there is none or this build cannot read it. */
export function decodeWatermark(text: string | null): Watermark | null {
  const [incarnation, origin, snapshotText, asOf, part, keyVersion, fingerprint, ...rest] =
    text?.split(' ') ?? []
  const snapshot = parseSnapshot(snapshotText ?? '')
  if (!incarnation || !origin || !snapshot || fingerprint === undefined || rest.length > 0)
    return null
  if (snapshot.xmax === NOTHING_SEEN.xmax) return null
  const mark = { asOfMs: Number(asOf), part: Number(part), keyVersion: Number(keyVersion) }
  // Whole numbers: no sign, no exponent, no NaN, no infinity.
  if (![asOf, part, keyVersion].every((number) => /^\d{1,15}$/.test(number ?? ''))) return null
  return { incarnation, origin, snapshot, ...mark, fingerprint }
}
