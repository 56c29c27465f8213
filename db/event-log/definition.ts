import { createHash } from 'node:crypto'

/** A table whose changes matter to the cache, and what its triggers report of them. */
export interface WatchedTable {
  readonly name: string
  /** Columns whose change is an event; their order is the order of the bits in `changed`. */
  readonly watch: readonly string[]
  /** Columns whose old and new values the event carries; their order is that of each array in `keys`. */
  readonly keys: readonly string[]
  /** How to create the table in the schema `invalidation`, where it is no table of the application. */
  readonly create?: TableCreation | undefined
}

/** A table that comes and goes with the event log. */
export interface TableCreation {
  /** Statements that create the table and its indexes. */
  readonly sql: string
  readonly primaryKey: readonly string[]
}

/** What the triggers have to watch, compiled from the rules of all resources. */
export interface RulesDefinition {
  readonly tables: readonly WatchedTable[]
}

/** A watched table as one installed version of the rules knows it. */
export interface InstalledTable extends WatchedTable {
  readonly id: number
  /** Since when it is watched like this: the version that its triggers write. */
  readonly version: number
  readonly primaryKey: readonly string[]
}

/** `changed` is a bigint whose sign bit stays free, so that all ones is -1 whatever is watched. */
export const MAX_WATCHED_COLUMNS = 63

/** Names what one build wants watched. */
export const digestOf = (wanted: RulesDefinition) =>
  createHash('sha256').update(JSON.stringify(wanted)).digest('hex')
