import { setImmediate } from 'node:timers/promises'
import type pg from 'pg'
import { type Event, SEGMENTS } from './event.ts'
import { includes, parseSnapshot, type Snapshot } from './snapshot.ts'

/**
 * Limits of a window that is read event by event; above any of them, the tables of its events are
 * flushed. Bytes count the uncompressed text of keys, rows count the rows in `keys`. They bound memory
 * and time.
 */
const MAX_EVENTS = 50_000
const MAX_ROWS = 100_000
const MAX_BYTES = 8 * 1024 * 1024
const MAX_READING_MS = 1_000
/** With more events, everything is flushed. */
const MAX_COARSE_EVENTS = 500_000
/** With this many flushes on demand in a coarse window, everything is flushed. */
const MAX_FLUSHES = 100
/** Larger keys of one event are not read: its table is flushed. */
const MAX_KEYS_BYTES = 64 * 1024
/** Events per query, so that one result holds at most 16 MiB. Two results are in memory at once. */
const HEAD = 256
/** Events per fetch if they are large on average: frequent fetches keep the session alive. */
const FEW = 16
const LARGE_EVENT_CHARS = 1024
/** Characters of keys that are parsed before yielding to the event loop; takes some milliseconds. */
const CHARS_PER_TURN = 256 * 1024

/** The events that became visible between two snapshots. */
export interface Window {
  /** With `coarse` it has one event for each version, table and op; the table of each is flushed. */
  readonly events: readonly Event[]
  readonly coarse: boolean
  /** Number of events of the window, counted up to `MAX_COARSE_EVENTS`. */
  readonly count: number
  /** Set if there are too many events to read: everything has to be flushed. */
  readonly everything?: true
}

/** A database and its incarnation. */
export interface DatabaseIdentity {
  readonly incarnation: string
  /** System identifier, database oid and timeline, separated by dots. A restart does not change it. */
  readonly origin: string
}

/** The snapshot of a reading transaction, and what the same statement read with it. */
export interface ReadSnapshot {
  readonly snapshot: Snapshot
  readonly database: DatabaseIdentity
  /** Process id of the backend. */
  readonly backend: number
  /** A watermark that does not include this snapshot has missed removed events. */
  readonly retentionFloor: Snapshot | null
  /** False if a segment is detached: windows do not include its events. */
  readonly isComplete: boolean
}

/**
 * Begins the transaction of a window. LOCK TABLE takes no snapshot, so REPEATABLE READ takes its
 * snapshot with the next query. The timeouts keep the session responsive to pings.
 */
const OPENING = `begin isolation level repeatable read read only;
  set local lock_timeout = '1s'; set local statement_timeout = '1500ms';
  lock table invalidation.event, invalidation.retention_floor in access share mode`

/**
 * Begins the transaction in which windows and lookups are read, with one snapshot for all of them.
 * @throws NoIncarnation if no incarnation has begun.
 *
 * Invariant: every window locks the log before it takes its snapshot. TRUNCATE and rewrites are not
 * MVCC-safe: a segment that is emptied between the snapshot and the read would appear to have no
 * events. With the lock, the snapshot includes the retention floor of every segment that was emptied
 * earlier. No segment is emptied before the transaction ends.
 *
 * All queries are sent before the first result is awaited. So windows that are requested right after
 * this call cost no additional round trip.
 */
export async function beginReading(client: pg.ClientBase): Promise<ReadSnapshot> {
  const opening = client.query(OPENING)
  const readSnapshot = client.query<{
    snapshot: string
    backend: number
    database: DatabaseIdentity | null
    retentionFloor: string | null
    segments: number
  }>({
    name: 'invalidation-read-snapshot',
    // Plans of windows must not depend on statistics, since truncated segments have none.
    text: `select pg_current_snapshot()::text as snapshot, pg_backend_pid() as backend,
                  set_config('enable_seqscan', 'off', true),
                  (select json_build_object('incarnation', id, 'origin', origin)
                   from invalidation.current_incarnation) as database,
                  (select snapshot::text from invalidation.retention_floor) as "retentionFloor",
                  (select count(*)::integer from pg_inherits
                   where inhparent = 'invalidation.event'::regclass) as segments`,
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
    isComplete: row.segments === SEGMENTS,
    retentionFloor: parseSnapshot(row.retentionFloor ?? ''),
  }
}

/** Thrown if no incarnation has begun. The session cannot continue; a new one begins an incarnation. */
export class NoIncarnation extends Error {
  override readonly name = 'NoIncarnation'
}

/**
 * Whether the log still contains all events committed after `since`. Ignores a retention floor ahead
 * of the current snapshot: it comes from a dump of another cluster.
 */
export const isRetained = (since: Snapshot, { retentionFloor, snapshot }: ReadSnapshot): boolean =>
  retentionFloor === null || retentionFloor.xmax > snapshot.xmax || includes(since, retentionFloor)

/**
 * Returns the events that were committed after `since` and are visible in the open transaction.
 *
 * `P` is `since`, `S` the snapshot of the open transaction. `xid >= xmax(P) or xid = any(xip(P))` means
 * exactly "not visible in P", and every returned row is visible in S. So there are no sequence gaps, and a long transaction does not delay other events. The
 * upper bound excludes rows of another cluster, such as those of a restored dump.
 */
export async function readWindow(
  client: pg.ClientBase,
  since: Snapshot,
  maxReadingMs = MAX_READING_MS,
): Promise<Window> {
  return (await readHead(client, since)) ?? readLarge(client, since, maxReadingMs)
}

/** Reads a window in one round trip, or returns `null` if it is too large for one result. */
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

let sqlCursors = 0

/** Returns all events, or `null` if they exceed a size limit or take too long. */
async function readInPieces(
  client: pg.ClientBase,
  values: readonly unknown[],
  maxReadingMs: number,
): Promise<Event[] | null> {
  const giveUpAtMs = performance.now() + maxReadingMs
  const cursor = `invalidation_window_${++sqlCursors}`
  await client.query(`declare ${cursor} no scroll cursor for ${EVENTS}`, [...values])
  const fetch = (count: number) => {
    const fetched = client.query<EventRow>(`fetch ${count} from ${cursor}`)
    // It may fail while earlier rows are parsed, before anything awaits it.
    fetched.catch(() => {})
    return fetched
  }
  const events: Event[] = []
  const size = { rows: 0, bytes: 0 }
  let isWhole = true
  let wanted = FEW
  let fetched: Promise<pg.QueryResult<EventRow>> | null = fetch(wanted)
  while (fetched !== null) {
    const { rows }: pg.QueryResult<EventRow> = await fetched
    const isLast: boolean = !isWhole || rows.length < wanted
    wanted = charsOf(rows) > rows.length * LARGE_EVENT_CHARS ? FEW : HEAD
    // Postgres reads the next rows while these are parsed.
    fetched = isLast ? null : fetch(wanted)
    isWhole &&= await take(rows, events, size)
    isWhole &&= isLast || performance.now() < giveUpAtMs
  }
  await client.query(`close ${cursor}`)
  return isWhole ? events : null
}

const charsOf = (rows: readonly EventRow[]) =>
  rows.reduce((sum, { keys }) => sum + (keys?.length ?? 0), 0)

/** Adds rows to `events` up to the size limits. Returns whether all rows were added. */
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
 * Skips transactions that were in progress in P and still are: otherwise an index scan would visit
 * every invisible row of a long transaction in every window.
 */
const SINCE = `from invalidation.event
  where (xid >= $1::xid8 or xid = any (array(
           select x from unnest($2::xid8[]) x where pg_visible_in_snapshot(x, pg_current_snapshot()))))
    and xid < pg_snapshot_xmax(pg_current_snapshot())`

/** Checks the compressed size first, so that large keys are not decompressed only to be measured. */
const KEYS = `case when pg_column_size(keys) <= ${MAX_KEYS_BYTES}
    then case when octet_length(keys::text) <= ${MAX_KEYS_BYTES} then keys::text end end as keys`

const EVENTS = `select version, table_id, op, changed, ${KEYS}, date_part('epoch', at) * 1000 as at_ms ${SINCE}`

/** Flushes on demand keep their patterns; other events are reduced to their tables. */
const COARSE = `select version, table_id, op, -1 as changed, null as keys,
  date_part('epoch', max(at)) * 1000 as at_ms ${SINCE} and op <> 'F' group by version, table_id, op
  union all (${EVENTS} and op = 'F' limit ${MAX_FLUSHES})`

interface EventRow {
  readonly version: number
  readonly table_id: number
  readonly op: Event['op']
  readonly changed: string
  /** JSON text, parsed here row by row to keep the event loop responsive. */
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
