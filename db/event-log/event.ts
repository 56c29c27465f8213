/** What one statement changed in one table, as the log has it. */
export interface Event {
  readonly version: number
  readonly tableId: number
  /** I U D; T truncate, B bulk, X trigger fault, F flush on demand. */
  readonly op: 'I' | 'U' | 'D' | 'T' | 'B' | 'X' | 'F'
  /** Bit n: the n-th watched column of that version's table. All ones is -1. */
  readonly changed: bigint
  /** Values of the key columns, one array per row; for F the pattern alone. */
  readonly keys: readonly (readonly (string | null)[])[] | readonly string[] | null
  /** Server clock in milliseconds since the epoch; for lag metrics only. */
  readonly atMs: number
}

/** Channel of the doorbell; the payload is always empty. */
export const NOTIFY_CHANNEL = 'invalidation'

/** Class of our advisory locks in this database, and the objects in it. Owner locks have classes of their own. */
export const LOCK_CLASS = 1_397_771_603
/** Every worker session shares `invalidator`; a command that must not run beside one takes it alone. */
export const LOCK = { sleep: 0, install: 1, pruning: 2, invalidator: 10 } as const
