import { escapeIdentifier } from 'pg'

/** Words that cannot name a table without quotes; a test compares them with Postgres. */
export const RESERVED: ReadonlySet<string> = new Set(
  `
  all analyse analyze and any array as asc asymmetric authorization binary both case cast
  check collate collation column concurrently constraint create cross current_catalog
  current_date current_role current_schema current_time current_timestamp current_user
  default deferrable desc distinct do else end except false fetch for foreign freeze from
  full grant group having ilike in initially inner intersect into is isnull join lateral
  leading left like limit localtime localtimestamp natural not notnull null offset on only
  or order outer overlaps placing primary references returning right select session_user
  similar some symmetric system_user table tablesample then to trailing true union unique
  user using variadic verbose when where window with
`
    .trim()
    .split(/\s+/),
)

/**
 * Quotes the name of a column or table for generated SQL; a simple table name may be qualified with
 * its schema. Names never come from requests.
 */
export const identifier = (name: string) =>
  /^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$/.test(name)
    ? name.split('.').map(quotedIfReserved).join('.')
    : escapeIdentifier(name)

const quotedIfReserved = (name: string) => (RESERVED.has(name) ? escapeIdentifier(name) : name)

/** Quotes a text constant for generated SQL; dollar quotes keep printed functions readable. */
export function literal(text: string): string {
  if (text.includes('$invalidation$')) throw new Error('text contains $invalidation$')
  return `$invalidation$${text}$invalidation$`
}
