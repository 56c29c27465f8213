import { escapeIdentifier } from 'pg'

/**
 * Quotes the name of a column or table for generated SQL; a simple table name may be qualified with
 * its schema. Names never come from requests.
 */
export const identifier = (name: string) =>
  /^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$/.test(name) ? name : escapeIdentifier(name)

/** Quotes a text constant for generated SQL; dollar quotes keep printed functions readable. */
export function literal(text: string): string {
  if (text.includes('$invalidation$')) throw new Error('text contains $invalidation$')
  return `$invalidation$${text}$invalidation$`
}
