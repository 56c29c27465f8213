/**
 * What makes entries of a resource stale, as data. From these rules come the triggers, the mapping
 * from events to keys, and the table of dependencies in the docs; nothing says it a second time.
 *
 * A rule is shown the old and the new row. An insert or a delete concerns every rule of its table;
 * an update concerns those that watch a column it changed.
 */
export type Rule = DirectRule | LookupRule

/** Column values of the changed row name the entry: a row of `employment` names its profile. */
export interface DirectRule {
  readonly table: string
  /** A change of one of these makes the entry stale. */
  readonly watch: readonly string[]
  /**
   * Parameter -> the column that holds it. Empty where the resource has but one entry. Keys are
   * compared by their bytes, so a reader must ask with the text that Postgres makes of the value
   * (`7`, not `07`), and a loader must find by text with `collate "C"`, whatever the column has.
   */
  readonly key: Readonly<Record<string, string>>
}

/** A query leads from column values of the changed row to entries: a tag's name to all its holders. */
export interface LookupRule {
  readonly table: string
  readonly watch: readonly string[]
  /** The columns handed to the query, each as a `text[]`: `$1`, `$2`, ... Rows with a null in one of them are left out. */
  readonly from: readonly string[]
  /**
   * Set-based SQL that returns a column for each parameter, named after it. It runs in the window's
   * own snapshot; old values arrive beside new ones, so a link that was cut is followed too. It may
   * find too much but not too little: `distinct` and `union` of a text column need `collate "C"`.
   */
  readonly query: string
}

export const isLookup = (rule: Rule): rule is LookupRule => 'query' in rule
