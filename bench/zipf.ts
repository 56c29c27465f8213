/** Exponent of the Zipf distribution. */
const ZIPF_EXPONENT = 1

/** Returns a function that draws from a list. The probability of the n-th item is proportional to 1/n. */
export function zipf<T>(items: readonly T[], random: () => number): () => T {
  const cumulative: number[] = []
  let sum = 0
  for (const index of items.keys()) cumulative.push((sum += 1 / (index + 1) ** ZIPF_EXPONENT))
  return () => {
    const at = random() * sum
    let [low, high] = [0, items.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((cumulative[middle] as number) < at) low = middle + 1
      else high = middle
    }
    return items[low] as T
  }
}
