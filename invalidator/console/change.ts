import type { Event, InstalledRules } from '../../db/event-log/index.ts'

/** A committed change, and what it made stale. It names tables, columns and entries, but no values. */
export interface Change {
  /** Equal in all processes that read the change: each reports the entries of the resources that it owns. */
  readonly id: string
  /** Server clock of Postgres, in ms since the epoch. */
  readonly atMs: number
  readonly operation: (typeof OPERATIONS)[Event['op']]
  /** Empty for a flush. */
  readonly table: string
  /** Columns that changed; null if that is not known, or if whole rows were inserted or deleted. */
  readonly columns: readonly string[] | null
  /** Number of rows in the event, old and new; null if it does not list them. */
  readonly rows: number | null
  /** The first entries that it invalidated. */
  readonly entries: readonly ChangedEntry[]
  /** Number of further entries. */
  readonly more: number
  /** Whether some entries were looked up together with other changes, and may belong to those only. */
  readonly together: boolean
  readonly flushed: readonly { readonly resource: string; readonly reason: string }[]
  /** Time from the change until its entries were deleted, an upper bound; null while a flush runs. */
  readonly delayMs: number | null
}

export interface ChangedEntry {
  readonly resource: string
  /** Key without prefix and version. */
  readonly key: string
}

export const OPERATIONS = {
  I: 'insert',
  U: 'update',
  D: 'delete',
  T: 'truncate',
  B: 'many rows',
  X: 'trigger fault',
  F: 'flush',
} as const

/** Returns the columns that an update changed; null if all count as changed. */
export function changedColumns(
  { op, version, tableId, changed }: Event,
  rules: InstalledRules | undefined,
): readonly string[] | null {
  if (op !== 'U' || changed === -1n) return null
  const watched = rules?.find(version, tableId)?.watch ?? []
  return watched.filter((_, bit) => (changed & (1n << BigInt(bit))) !== 0n)
}
