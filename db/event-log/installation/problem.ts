/** Reasons for which changes of a table may go unlogged. They are values of a metric label. */
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

/** A reason for which data of a table must not be cached. */
export interface Problem {
  readonly table: string
  readonly cause: Cause
  /** A sentence for operators, without a full stop. */
  readonly text: string
}
