import { includes } from '../../db/event-log/index.ts'
import { decodeWatermark, type Watermark } from '../../shared/cache/index.ts'

/**
 * Returns the stored watermark of the bucket that is furthest behind, of those of all buckets: one that is missing or
 * unreadable, if any.
 */
export function furthestBehind(texts: readonly (string | null)[]): string | null {
  const marks = texts.map((text) => ({ text, mark: decodeWatermark(text) }))
  const [first, ...others] = marks
  return others.reduce((least, one) => (isBehind(one.mark, least.mark) ? one : least), {
    text: first?.text ?? null,
    mark: first?.mark ?? null,
  }).text
}

const isBehind = (one: Watermark | null, other: Watermark | null): boolean => {
  if (one === null || other === null) return other !== null
  return (
    includes(other.snapshot, one.snapshot) &&
    (!includes(one.snapshot, other.snapshot) || one.asOfMs < other.asOfMs)
  )
}
