/** A row of the event log: the changes of one statement in one table. */
export interface Event {
  readonly version: number
  readonly tableId: number
  /** I U D; T truncate, B bulk, X trigger fault, F flush on demand. */
  readonly op: 'I' | 'U' | 'D' | 'T' | 'B' | 'X' | 'F'
  /** Bit n: the n-th watched column of the table in that version. -1 means all columns. */
  readonly changed: bigint
  /** Values of the key columns, one array per row; for F only the pattern. */
  readonly keys: readonly (readonly (string | null)[])[] | readonly string[] | null
  /** Server clock in milliseconds since the epoch; for lag metrics only. */
  readonly atMs: number
}

/** Number of segments of the event log. functions.sql and schema.sql repeat it, and `SEGMENT_S`. */
export const SEGMENTS = 4
/** Seconds for which new events are written to one segment. */
export const SEGMENT_S = 300

/** NOTIFY channel for wake-ups; the payload of a wake-up is empty. */
export const NOTIFY_CHANNEL = 'invalidation'

/** Class id of the event log's advisory locks, also in functions.sql. Locks on the ownership of resources use other classes. */
export const LOCK_CLASS = 1_397_771_603
/**
 * Object ids of these locks. Every worker session holds `invalidator` in shared mode; a command that
 * must not run beside an invalidator takes it exclusively.
 */
export const LOCK = { sleep: 0, install: 1, pruning: 2, invalidator: 10 } as const
