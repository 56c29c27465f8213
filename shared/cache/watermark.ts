import { parseSnapshot, type Snapshot } from '../../db/event-log/snapshot.ts'
import type { DatabaseIdentity } from '../../db/event-log/window.ts'
import { CLOCK_SLACK_MS } from './clock.ts'

/**
 * How far a resource has been applied to a Redis. It is stored in that Redis and nowhere else, and
 * it is the cursor: what a failover or an old file takes back takes the watermark back with it, so
 * a stored watermark never claims an invalidation that was lost.
 */
export interface Watermark extends DatabaseIdentity {
  /** Every commit visible in it has been applied. */
  readonly snapshot: Snapshot
  /** Redis milliseconds, read before the snapshot was taken: how fresh, not how far. */
  readonly asOfMs: number
  /** How many parts of the next window have been applied; they repeat after a crash. */
  readonly part: number
  /** The version of the keys that may be read and filled; `UNNAMED` while none may. */
  readonly keyVersion: number
  /** Of the rules that were followed, and of the triggers when they were last found whole. */
  readonly fingerprint: string
}

/** Named instead of a key version while nothing can be trusted: triggers are damaged or missing. */
export const DISABLED = 0

/** What a first flush says until it is through: it claims nothing, and reads back as no watermark. */
export const NOTHING_SEEN: Snapshot = { xmin: 0n, xmax: 0n, xip: [], text: '0:0:' }

/**
 * How long ago everything had been applied. One from the future was restored or corrupted, and does
 * not tell how fresh anything is: its age is infinite.
 */
export const ageMsOf = ({ asOfMs }: Watermark, nowMs: number): number =>
  asOfMs <= nowMs + CLOCK_SLACK_MS ? Math.max(0, nowMs - asOfMs) : Infinity

/** As stored: fields in a fixed order, so that equal watermarks are equal bytes. */
export const encodeWatermark = (mark: Watermark): string =>
  [
    mark.incarnation,
    mark.origin,
    mark.snapshot.text,
    mark.asOfMs,
    mark.part,
    mark.keyVersion,
    mark.fingerprint,
  ].join(' ')

/** Whether something is stored that no build writes; what a first flush says is none, but ours. */
export const isUnreadable = (text: string | null): boolean =>
  text !== null && decodeWatermark(text) === null && !text.includes(` ${NOTHING_SEEN.text} `)

/** Reads a stored watermark; `null` for none, or for one that this build cannot read. */
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
