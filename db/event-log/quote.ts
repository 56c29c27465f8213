import { escapeIdentifier } from 'pg'

/**
 * Quotes a name of ours for generated SQL: a column, or a table, which may stand behind its schema.
 * Nothing from a request ever gets here.
 */
export const identifier = (name: string) =>
  /^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$/.test(name) ? name : escapeIdentifier(name)

/** Quotes a text constant for generated SQL; dollar-quoted, so that a printed function stays readable. */
export function literal(text: string): string {
  if (text.includes('$invalidation$')) throw new Error('text contains our own dollar quote')
  return `$invalidation$${text}$invalidation$`
}
