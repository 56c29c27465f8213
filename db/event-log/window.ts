import type pg from 'pg'
import type { Event } from './event.ts'
import { covers, parseSnapshot, type Snapshot } from './snapshot.ts'

/** Above either, events are not read one by one: their tables are flushed. */
const MAX_EVENTS = 50_000
const MAX_BYTES = 16 * 1024 * 1024
/** Up to so many are read without asking first how many there are: they cannot be too large. */
const HEAD = 256

/** The events that became visible between two snapshots. */
export interface Window {
  /** With `coarse`, one for each version, table and op, to be flushed. */
  readonly events: readonly Event[]
  readonly coarse: boolean
  /** How many events there really were. */
  readonly count: number
}

/** One uninterrupted life of a database, and which database that is. */
export interface Life {
  readonly incarnation: string
  /** System identifier, database and timeline, with dots between: what a restart does not change. */
  readonly origin: string
}

/** What a window is read against: the snapshot of this transaction, as one statement saw it. */
export interface Horizon {
  readonly snapshot: Snapshot
  readonly life: Life
  /** The backend that reads. */
  readonly backend: number
  /** A cursor that does not cover this has lost events to the ring. */
  readonly floor: Snapshot | null
  /** In which files the segments are: emptying one gives it another file. */
  readonly files: string
}

/** How many segments the log has; with another number, events would be logged that no window reads. */
const SEGMENTS = 4

/**
 * The transaction of a window. LOCK TABLE takes no snapshot, so REPEATABLE READ takes its snapshot
 * with the query behind it. The limits end what would keep the session from its next ping.
 */
const OPENING = `begin isolation level repeatable read read only;
  set local lock_timeout = '1s'; set local statement_timeout = '1500ms';
  lock table invalidation.event, invalidation.floor in access share mode`

/**
 * Opens the transaction in which windows and lookups are read: one snapshot for all of them.
 *
 * Invariant: the log is locked before the snapshot is taken, in every window. TRUNCATE and rewrites
 * are not MVCC-safe: a segment that was emptied between the snapshot and the read would look like
 * one without events. With the lock, a segment that was emptied earlier is one whose floor this
 * snapshot sees, and none is emptied before the transaction ends.
 *
 * Everything is sent before the first answer is waited for, so that windows that are asked for
 * right behind it cost no round trip of their own.
 */
export async function beginReading(client: pg.ClientBase): Promise<Horizon> {
  const opening = client.query(OPENING)
  const horizon = client.query<{
    snapshot: string
    backend: number
    life: Life | null
    floor: string | null
    files: readonly (string | null)[]
  }>({
    name: 'invalidation-horizon',
    // The windows' plans must not depend on statistics: a segment has none worth the name.
    text: `select pg_current_snapshot()::text as snapshot, pg_backend_pid() as backend,
                  set_config('enable_seqscan', 'off', true),
                  (select json_build_object('incarnation', id, 'origin', origin)
                   from invalidation.life) as life,
                  (select snapshot::text from invalidation.floor) as floor,
                  array(select concat(inhrelid, ' ', pg_relation_filenode(inhrelid)) from pg_inherits
                        where inhparent = 'invalidation.event'::regclass order by inhrelid) as files`,
  })
  const [, { rows }] = await Promise.all([opening, horizon])
  const row = rows[0]
  const snapshot = row && parseSnapshot(row.snapshot)
  if (!snapshot || row.life === null) throw new NoLife('nobody has begun this life of the database')
  if (row.files.length !== SEGMENTS) {
    throw new Error(
      `the event log has ${row.files.length} segments instead of ${SEGMENTS}: attach what was detached, or uninstall and install`,
    )
  }
  return {
    snapshot,
    life: row.life,
    backend: row.backend,
    floor: parseSnapshot(row.floor ?? ''),
    files: row.files.join(),
  }
}

/** A new session begins a new life; this one cannot go on. */
export class NoLife extends Error {
  override readonly name = 'NoLife'
}

/**
 * Whether the ring still holds everything committed after a snapshot. A floor ahead of the present
 * came with a dump of another cluster and means nothing here.
 */
export const isWithinRing = (since: Snapshot, { floor, snapshot }: Horizon): boolean =>
  floor === null || floor.xmax > snapshot.xmax || covers(since, floor)

/**
 * Everything committed after `since` and visible in the open transaction.
 *
 * `xid >= xmax(P) or xid = any(xip(P))` is exactly "not visible in P", and being returned at all is
 * "visible in S": no sequence gap, no stall behind a long transaction. The upper bound keeps out
 * rows of a foreign cluster, such as a restored dump.
 */
export async function readWindow(client: pg.ClientBase, since: Snapshot): Promise<Window> {
  const values = [String(since.xmax), since.xip.map(String)]
  const head = await client.query<EventRow>({
    name: 'invalidation-window-head',
    text: `${EVENTS} limit ${HEAD + 1}`,
    values,
  })
  // Nearly every window: all of it in one round trip.
  if (head.rows.length <= HEAD) return windowOf(head.rows)

  const sizes = await client.query<{ count: string; bytes: string }>({
    name: 'invalidation-window-size',
    text: `select count(*), coalesce(sum(pg_column_size(keys)), 0) as bytes ${SINCE}`,
    values,
  })
  const count = Number(sizes.rows[0]?.count)
  const coarse = count > MAX_EVENTS || Number(sizes.rows[0]?.bytes) > MAX_BYTES
  const { rows } = await client.query<EventRow>({
    name: coarse ? 'invalidation-window-coarse' : 'invalidation-window',
    text: coarse ? COARSE : EVENTS,
    values,
  })
  return { events: rows.map(toEvent), coarse, count }
}

const windowOf = (rows: readonly EventRow[]): Window => ({
  events: rows.map(toEvent),
  coarse: false,
  count: rows.length,
})

const SINCE = `from invalidation.event
  where (xid >= $1::xid8 or xid = any ($2::xid8[])) and xid < pg_snapshot_xmax(pg_current_snapshot())`

const EVENTS = `select version, table_id, op, changed, keys, extract(epoch from at) * 1000 as at_ms ${SINCE}`

/** Flushes on demand keep their patterns; of the rest only the table matters. */
const COARSE = `select version, table_id, op, -1 as changed, null as keys,
  extract(epoch from max(at)) * 1000 as at_ms ${SINCE} and op <> 'F' group by version, table_id, op
  union all ${EVENTS} and op = 'F'`

interface EventRow {
  readonly version: number
  readonly table_id: number
  readonly op: Event['op']
  readonly changed: string
  readonly keys: Event['keys']
  readonly at_ms: string
}

const toEvent = (row: EventRow): Event => ({
  version: row.version,
  tableId: row.table_id,
  op: row.op,
  changed: BigInt(row.changed),
  keys: row.keys,
  atMs: Number(row.at_ms),
})
