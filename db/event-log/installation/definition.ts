import { createHash } from 'node:crypto'

/** A table whose changes affect cached entries, and the columns that its triggers log. */
export interface WatchedTable {
  readonly name: string
  /** Columns whose changes are logged; their order is the order of the bits in `changed`. */
  readonly watch: readonly string[]
  /** Columns whose old and new values are logged; their order is that of each array in `keys`. */
  readonly keys: readonly string[]
  /** Creates the table in the schema `invalidation`, if it is not a table of the application. */
  readonly create?: TableCreation | undefined
}

/** How to create a table that is installed and uninstalled with the event log. */
export interface TableCreation {
  /** Statements that create the table and its indexes. */
  readonly sql: string
  readonly primaryKey: readonly string[]
}

/** The tables that the triggers watch, compiled from the rules of all resources. */
export interface RulesDefinition {
  readonly tables: readonly WatchedTable[]
}

/** A watched table in one installed version of the rules. */
export interface InstalledTable extends WatchedTable {
  readonly id: number
  /** The version that introduced this definition of the table; its triggers write it. */
  readonly version: number
  readonly primaryKey: readonly string[]
}

/** `changed` is a bigint whose sign bit is reserved, so that -1 always means all columns. */
export const MAX_WATCHED_COLUMNS = 63

/** Returns the digest that identifies the definition of one build. */
export const digestOf = (wanted: RulesDefinition) =>
  createHash('sha256').update(JSON.stringify(wanted)).digest('hex')
