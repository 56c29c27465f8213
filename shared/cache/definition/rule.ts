/**
 * Declares which changes make entries of a resource stale. The triggers, the mapping from events to
 * keys, and the table of dependencies in the docs are all derived from these rules.
 *
 * A rule gets the old and the new row. An insert or a delete concerns every rule of its table; an
 * update concerns the rules that watch a changed column.
 */
export type Rule = DirectRule | LookupRule

/** Column values of the changed row identify the entry: a row of `employment` names its profile. */
export interface DirectRule {
  readonly table: string
  /** Columns whose change makes the entry stale. */
  readonly watch: readonly string[]
  /**
   * Parameter -> the column that holds it. Empty if the resource has only one entry. Keys are compared
   * byte by byte. So a reader must use the text that Postgres makes of the value (`7`, not `07`). A
   * loader must compare text with `collate "C"`, even if the column has another collation.
   */
  readonly key: Readonly<Record<string, string>>
}

/**
 * A query leads from column values of the changed row to entries: from a tag's name to all its
 * holders.
 */
export interface LookupRule {
  readonly table: string
  readonly watch: readonly string[]
  /**
   * Columns passed to the query, each as a `text[]`: `$1`, `$2`, ... Rows with a null in one of them
   * are skipped.
   */
  readonly from: readonly string[]
  /**
   * Set-based SQL that returns one column for each parameter, named after it. It runs in the snapshot of
   * the window. Old values are passed together with new ones, so a removed link is followed too. It may
   * find too much but never too little: `distinct` and `union` of a text column need `collate "C"`.
   */
  readonly query: string
}

export const isLookup = (rule: Rule): rule is LookupRule => 'query' in rule
