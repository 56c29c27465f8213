import type { Snapshot } from './snapshot.ts'

/** SQL condition on events that were committed after a snapshot, whose values are `$1` and `$2`. */
export const AFTER_SNAPSHOT = `(xid >= $1::xid8 or xid = any ($2::xid8[]))
  and xid < pg_snapshot_xmax(pg_current_snapshot())`

/** Returns the values of `AFTER_SNAPSHOT`. */
export const snapshotValues = ({ xmax, xip }: Snapshot): [xmax: string, xip: string[]] => [
  String(xmax),
  xip.map(String),
]
