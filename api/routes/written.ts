/**
 * Returns the body of a row that a write has locked in the same transaction.
 * @throws Error if it is null: a locked row cannot be missing.
 */
export function written(body: string | null): string {
  if (body === null) throw new Error('the locked row of a write is missing')
  return body
}
