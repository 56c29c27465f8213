/** The answer of a write, read in its transaction. What it has locked cannot be missing. */
export function written(body: string | null): string {
  if (body === null) throw new Error('the row of this write is gone')
  return body
}
