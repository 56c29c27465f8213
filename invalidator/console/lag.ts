/** Adds the difference of two histograms to counts. */
export function addLag(
  counts: readonly number[],
  now: readonly number[],
  before: readonly number[] = [],
): number[] {
  return now.map((count, at) => (counts[at] ?? 0) + Math.max(0, count - (before[at] ?? 0)))
}

/**
 * Returns a quantile of a histogram in ms, interpolated within its bucket; null if it is empty. Above all
 * bounds the highest bound is returned.
 */
export function quantileMs(
  bounds: readonly number[],
  counts: readonly number[],
  quantile: number,
): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  const rank = quantile * total
  let below = 0
  for (const [at, count] of counts.entries()) {
    if (below + count >= rank && count > 0) {
      const from = bounds[at - 1] ?? 0
      const to = bounds[at] ?? from
      return (from + ((to - from) * (rank - below)) / count) * 1000
    }
    below += count
  }
  return null
}
