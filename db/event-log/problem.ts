/** The kinds of reasons for which a table's changes may go unlogged; a label of a metric, so there are few. */
export type Cause =
  | 'missing'
  | 'kind'
  | 'inheritance'
  | 'column'
  | 'primary key'
  | 'triggers'
  | 'build'
  | 'row security'
  | 'subscription'
  | 'log'

/** Why what is made of a table must not be cached. */
export interface Problem {
  readonly table: string
  readonly cause: Cause
  /** A sentence without its end, for people. */
  readonly text: string
}
