/**
 * Returns the pause after a number of failures in a row, in milliseconds: it doubles up to `maxMs`. It is
 * random between half and whole, so that processes do not retry together.
 */
export function backOffMs(failures: number, firstMs: number, maxMs: number): number {
  const wholeMs = Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 30))
  return wholeMs * (0.5 + Math.random() / 2)
}
