import { setImmediate } from 'node:timers/promises'
import type pg from 'pg'
import type { Event } from './event.ts'
import { includes, parseSnapshot, type Snapshot } from './snapshot.ts'

/**
 * Above any of these, events are not read one by one: their tables are flushed. Bytes are those of
 * the uncompressed text, rows those that the keys name; together they bound memory and time.
 */
const MAX_EVENTS = 50_000
const MAX_ROWS = 100_000
const MAX_BYTES = 8 * 1024 * 1024
const MAX_READING_MS = 1_000
/** Above this, not even the tables are looked at: everything is flushed. */
const MAX_COARSE_EVENTS = 500_000
/** With so many flushes on demand in a coarse window, everything is flushed. */
const MAX_FLUSHES = 100
/** Keys of one event that are wider are left in the log: its table is flushed. */
const MAX_KEYS_BYTES = 64 * 1024
/** Up to so many events are read at once, so that one answer holds 16 MiB at most. */
const HEAD = 256
/** Where events are large so few are fetched at once: each fetch shows that the session is alive. */
const FEW = 16
/** Characters of keys that are parsed before the event loop has its turn: some milliseconds. */
const CHARS_PER_TURN = 256 * 1024

/** The events that became visible between two snapshots. */
export interface Window {
  /** With `coarse`, one for each version, table and op, to be flushed. */
  readonly events: readonly Event[]
  readonly coarse: boolean
  /** How many events there really were, as far as they were counted. */
  readonly count: number
  /** Too many to look at: nothing is known of them, and everything has to be flushed. */
  readonly everything?: true
}

/** One uninterrupted life of a database, and which database that is. */
export interface DatabaseIdentity {
  readonly incarnation: string
  /** System identifier, database and timeline, with dots between: what a restart does not change. */
  readonly origin: string
}

/** What a window is read against: the snapshot of this transaction, as one statement saw it. */
export interface ReadSnapshot {
  readonly snapshot: Snapshot
  readonly database: DatabaseIdentity
  /** The backend that reads. */
  readonly backend: number
  /** A cursor that does not cover this has lost events to the ring. */
  readonly retentionFloor: Snapshot | null
  /** False where a segment was detached: windows do not see the events in it. */
  readonly isComplete: boolean
  /** In which files the segments are: emptying one gives it another file. */
  readonly files: string
}

/** How many segments the log has. */
const SEGMENTS = 4

/**
 * The transaction of a window. LOCK TABLE takes no snapshot, so REPEATABLE READ takes its snapshot
 * with the query behind it. The limits end what would keep the session from its next ping.
 */
const OPENING = `begin isolation level repeatable read read only;
  set local lock_timeout = '1s'; set local statement_timeout = '1500ms';
  lock table invalidation.event, invalidation.retention_floor in access share mode`

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
export async function beginReading(client: pg.ClientBase): Promise<ReadSnapshot> {
  const opening = client.query(OPENING)
  const readSnapshot = client.query<{
    snapshot: string
    backend: number
    database: DatabaseIdentity | null
    retentionFloor: string | null
    files: readonly (string | null)[]
  }>({
    name: 'invalidation-read-snapshot',
    // The windows' plans must not depend on statistics: a segment has none worth the name.
    text: `select pg_current_snapshot()::text as snapshot, pg_backend_pid() as backend,
                  set_config('enable_seqscan', 'off', true),
                  (select json_build_object('incarnation', id, 'origin', origin)
                   from invalidation.current_incarnation) as database,
                  (select snapshot::text from invalidation.retention_floor) as "retentionFloor",
                  array(select concat(inhrelid, ' ', pg_relation_filenode(inhrelid)) from pg_inherits
                        where inhparent = 'invalidation.event'::regclass order by inhrelid) as files`,
  })
  const [, { rows }] = await Promise.all([opening, readSnapshot])
  const row = rows[0]
  const snapshot = row && parseSnapshot(row.snapshot)
  if (!snapshot || row.database === null)
    throw new NoIncarnation('no incarnation has begun in this database')
  return {
    snapshot,
    database: row.database,
    backend: row.backend,
    isComplete: row.files.length === SEGMENTS,
    retentionFloor: parseSnapshot(row.retentionFloor ?? ''),
    files: row.files.join(),
  }
}

/** A new session begins a new life; this one cannot go on. */
export class NoIncarnation extends Error {
  override readonly name = 'NoIncarnation'
}

/**
 * Whether the ring still holds everything committed after a snapshot. A floor ahead of the present
 * came with a dump of another cluster and means nothing here.
 */
export const isRetained = (since: Snapshot, { retentionFloor, snapshot }: ReadSnapshot): boolean =>
  retentionFloor === null || retentionFloor.xmax > snapshot.xmax || includes(since, retentionFloor)

/**
 * Everything committed after `since` and visible in the open transaction.
 *
 * `xid >= xmax(P) or xid = any(xip(P))` is exactly "not visible in P", and being returned at all is
 * "visible in S": no sequence gap, no stall behind a long transaction. The upper bound keeps out
 * rows of a foreign cluster, such as a restored dump.
 */
export async function readWindow(
  client: pg.ClientBase,
  since: Snapshot,
  maxReadingMs = MAX_READING_MS,
): Promise<Window> {
  return (await readHead(client, since)) ?? readLarge(client, since, maxReadingMs)
}

/** The same in one round trip, or `null` for a window that is too large for one answer. */
export async function readHead(client: pg.ClientBase, since: Snapshot): Promise<Window | null> {
  const head = await client.query<EventRow>({
    name: 'invalidation-window-head',
    text: `${EVENTS} limit ${HEAD + 1}`,
    values: valuesOf(since),
  })
  if (head.rows.length > HEAD) return null
  const events: Event[] = []
  const isWhole = await take(head.rows, events, { rows: 0, bytes: 0 })
  return isWhole ? { events, coarse: false, count: events.length } : null
}

async function readLarge(
  client: pg.ClientBase,
  since: Snapshot,
  maxReadingMs: number,
): Promise<Window> {
  const values = valuesOf(since)
  const counted = await client.query<{ count: string }>({
    name: 'invalidation-window-size',
    text: `select count(*) from (select 1 ${SINCE} limit ${MAX_COARSE_EVENTS + 1}) counted`,
    values,
  })
  const count = Number(counted.rows[0]?.count)
  if (count > MAX_COARSE_EVENTS) return { events: [], coarse: true, count, everything: true }
  const events = count > MAX_EVENTS ? null : await readInPieces(client, values, maxReadingMs)
  if (events !== null) return { events, coarse: false, count: events.length }

  const { rows } = await client.query<EventRow>({
    name: 'invalidation-window-coarse',
    text: COARSE,
    values,
  })
  const flushes = rows.filter(({ op }) => op === 'F').length
  if (flushes >= MAX_FLUSHES) return { events: [], coarse: true, count, everything: true }
  return { events: rows.map(toEvent), coarse: true, count }
}

const valuesOf = ({ xmax, xip }: Snapshot) => [String(xmax), xip.map(String)]

let cursors = 0

/** All events, or `null` when they are larger than may be held, or take too long. */
async function readInPieces(
  client: pg.ClientBase,
  values: readonly unknown[],
  maxReadingMs: number,
): Promise<Event[] | null> {
  const giveUpAtMs = performance.now() + maxReadingMs
  const cursor = `invalidation_window_${++cursors}`
  await client.query(`declare ${cursor} no scroll cursor for ${EVENTS}`, [...values])
  const events: Event[] = []
  const size = { rows: 0, bytes: 0 }
  let isWhole: boolean
  let wanted = FEW
  for (;;) {
    const { rows } = await client.query<EventRow>(`fetch ${wanted} from ${cursor}`)
    const bytesBefore = size.bytes
    isWhole = await take(rows, events, size)
    if (!isWhole || rows.length < wanted) break
    isWhole = performance.now() < giveUpAtMs
    if (!isWhole) break
    const bytesOfOne = (size.bytes - bytesBefore) / rows.length
    wanted = bytesOfOne * HEAD > CHARS_PER_TURN ? FEW : HEAD
  }
  await client.query(`close ${cursor}`)
  return isWhole ? events : null
}

/** Adds events as long as they may be held; answers whether all of them could be. */
async function take(
  rows: readonly EventRow[],
  events: Event[],
  size: { rows: number; bytes: number },
): Promise<boolean> {
  let parsed = 0
  for (const row of rows) {
    const chars = row.keys?.length ?? 0
    size.bytes += chars
    if (size.bytes > MAX_BYTES) return false
    const event = toEvent(row)
    size.rows += event.keys?.length ?? 1
    if (size.rows > MAX_ROWS) return false
    events.push(event)
    parsed += chars
    if (parsed < CHARS_PER_TURN) continue
    parsed = 0
    await setImmediate()
  }
  return true
}

/**
 * Of the transactions that were in progress in P, those that still are need not be looked for: an
 * index scan would visit every row of a long one with every window, only to find it invisible.
 */
const SINCE = `from invalidation.event
  where (xid >= $1::xid8 or xid = any (array(
           select x from unnest($2::xid8[]) x where pg_visible_in_snapshot(x, pg_current_snapshot()))))
    and xid < pg_snapshot_xmax(pg_current_snapshot())`

/** The compressed size is looked at first, so that nothing large is unpacked only to be measured. */
const KEYS = `case when pg_column_size(keys) <= ${MAX_KEYS_BYTES}
    then case when octet_length(keys::text) <= ${MAX_KEYS_BYTES} then keys::text end end as keys`

const EVENTS = `select version, table_id, op, changed, ${KEYS}, extract(epoch from at) * 1000 as at_ms ${SINCE}`

/** Flushes on demand keep their patterns; of the rest only the table matters. */
const COARSE = `select version, table_id, op, -1 as changed, null as keys,
  extract(epoch from max(at)) * 1000 as at_ms ${SINCE} and op <> 'F' group by version, table_id, op
  union all (${EVENTS} and op = 'F' limit ${MAX_FLUSHES})`

interface EventRow {
  readonly version: number
  readonly table_id: number
  readonly op: Event['op']
  readonly changed: string
  /** JSON, read here so that no answer is parsed as a whole. */
  readonly keys: string | null
  readonly at_ms: string
}

const toEvent = (row: EventRow): Event => ({
  version: row.version,
  tableId: row.table_id,
  op: row.op,
  changed: BigInt(row.changed),
  keys: row.keys === null ? null : (JSON.parse(row.keys) as Event['keys']),
  atMs: Number(row.at_ms),
})
