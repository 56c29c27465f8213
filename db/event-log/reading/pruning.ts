import type { ClientBase } from 'pg'
import { LOCK, LOCK_CLASS, SEGMENT_S, SEGMENTS } from './event.ts'
import { type InstallerOptions, openInstaller } from '../installation/installer.ts'
import { parseSnapshot, type Snapshot } from './snapshot.ts'

/** Interval of checkpoints, which record the lowest cursor. */
const CHECKPOINT_INTERVAL_S = 300
/** Age from which the events that a checkpoint includes may be removed: history for late cursors. */
const CHECKPOINT_AGE_S = 600
/** Age from which a cursor no longer prevents pruning; its owner will have to flush. */
const CURSOR_AGE_S = 600

/** Excludes snapshots of another cluster that a restored dump contains. */
const NOT_IN_FUTURE = 'pg_snapshot_xmax(snapshot) <= pg_snapshot_xmax(pg_current_snapshot())'

/** The snapshot up to which the events of a resource were applied to a Redis. */
export interface Cursor {
  readonly resource: string
  readonly snapshot: string
}

/**
 * Records the cursors of a Redis. Deletes cursors that were not updated for a day, such as those of a
 * Redis that no longer exists.
 */
export async function recordCursors(
  client: ClientBase,
  redis: string,
  cursors: readonly Cursor[],
): Promise<void> {
  await client.query(
    `with gone as (delete from invalidation.cursor where recorded_at < clock_timestamp() - interval '1 day')
     insert into invalidation.cursor (redis, resource, snapshot, recorded_at)
     select $1, resource, snapshot, clock_timestamp()
     from unnest($2::text[], $3::pg_snapshot[]) as c(resource, snapshot)
     on conflict (redis, resource)
     do update set snapshot = excluded.snapshot, recorded_at = excluded.recorded_at`,
    [redis, cursors.map(({ resource }) => resource), cursors.map(({ snapshot }) => snapshot)],
  )
}

/** The result of `pruneEventLog`. */
export type PruneResult = 'emptied' | 'nothing to empty' | 'still needed' | 'busy' | 'locked'

export interface PruneOptions {
  /** Seconds to add to the clock, so that a test need not wait for the next segment. */
  readonly aheadS?: number
}

/**
 * Records a checkpoint if one is due. Empties the segment after the current one if a checkpoint at
 * least ten minutes old includes all of its events. One replica at a time prunes. It never waits for a
 * lock, so writers never wait behind it.
 */
export async function pruneEventLog(
  client: ClientBase,
  { aheadS = 0 }: PruneOptions = {},
): Promise<PruneResult> {
  const { rows } = await client.query<{ locked: boolean }>(TAKE_PRUNING_LOCK, [
    LOCK_CLASS,
    LOCK.pruning,
  ])
  if (!rows[0]?.locked) return 'locked'
  try {
    await recordCheckpoint(client, aheadS)
    return await emptyNextSegment(client, aheadS)
  } finally {
    await client.query('select pg_advisory_unlock($1, $2)', [LOCK_CLASS, LOCK.pruning])
  }
}

/** Thrown if an invalidator is connected and the command must not run beside one. */
export class InvalidatorRunning extends Error {
  override readonly name = 'InvalidatorRunning'
  /** object_in_use */
  readonly code = '55006'
}

/**
 * Empties the whole log, including events that were not applied yet. The new retention floor is ahead
 * of every cursor, so each resource is flushed when its invalidator continues. Returns the number of
 * removed events. The lock is held until the connection ends; an invalidator that starts meanwhile
 * fails and retries.
 * @throws InvalidatorRunning if an invalidator is connected; the message names its sessions.
 */
export async function emptyLog(url: string, options: InstallerOptions = {}): Promise<number> {
  await using installer = await openInstaller(url, options)
  const { client, run } = installer
  await excludeInvalidators(client)
  const { rows } = await client.query<{ events: string }>(
    'select count(*) as events from invalidation.event',
  )
  // The lock waits for every transaction that has logged events, so the snapshot taken afterwards
  // includes all events that are removed. Each statement of this transaction has its own snapshot.
  await run(
    `lock table invalidation.event in access exclusive mode;
     insert into invalidation.retention_floor (snapshot) values (pg_current_snapshot())
     on conflict (only_row) do update set snapshot = excluded.snapshot;
     ${KEEP_INCARNATION};
     truncate invalidation.event;`,
  )
  return Number(rows[0]?.events)
}

/**
 * A TRUNCATE ends the incarnation unless its transaction has set this. Invariant: such a transaction has
 * raised the retention floor over all events that it removes.
 */
const KEEP_INCARNATION = 'set local invalidation.keeps_incarnation = on'

/**
 * Takes the pruning lock unless this session holds it already, for example after a failed unlock.
 * Session locks are counted: a lock taken twice would remain after one unlock.
 */
const TAKE_PRUNING_LOCK = `select case when exists (
    select from pg_locks
    where locktype = 'advisory' and objsubid = 2 and granted and pid = pg_backend_pid()
      and classid::bigint = $1::integer and objid::bigint = $2::integer
      and database = (select oid from pg_database where datname = current_database())
  ) then true else pg_try_advisory_lock($1::integer, $2::integer) end as locked`

/** Takes the invalidator lock exclusively until the connection ends. */
async function excludeInvalidators(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ locked: boolean }>(
    'select pg_try_advisory_lock($1, $2) as locked',
    [LOCK_CLASS, LOCK.invalidator],
  )
  if (rows[0]?.locked) return
  const { rows: sessions } = await client.query<{ session: string }>(
    `select format('pid %s (%s)', l.pid,
              concat_ws(', ', a.usename, nullif(a.application_name, ''), host(a.client_addr))) as session
     from pg_locks l left join pg_stat_activity a using (pid)
     where l.locktype = 'advisory' and l.objsubid = 2 and l.granted
       and l.classid = $1::bigint::oid and l.objid = $2::bigint::oid
       and l.database = (select oid from pg_database where datname = current_database())
     order by l.pid`,
    [LOCK_CLASS, LOCK.invalidator],
  )
  const names = sessions.map(({ session }) => session).join(', ')
  throw new InvalidatorRunning(
    `an invalidator is connected: ${names || 'it has just disconnected, so try again'}; it prunes the log by itself. ` +
      'To empty the log at once, stop every invalidator first',
  )
}

async function recordCheckpoint(client: ClientBase, aheadS: number): Promise<void> {
  const { rows } = await client.query<{ due: boolean }>(
    `select coalesce(max(taken_at) < clock_timestamp() + $1 * interval '1 s' - $2 * interval '1 s', true) as due
     from invalidation.checkpoint`,
    [aheadS, CHECKPOINT_INTERVAL_S],
  )
  if (!rows[0]?.due) return
  const cursors = await client.query<{ snapshot: string }>(
    `select snapshot::text from invalidation.cursor
     where recorded_at > clock_timestamp() - $1 * interval '1 s' and ${NOT_IN_FUTURE}`,
    [CURSOR_AGE_S],
  )
  const lowest = cursors.rows
    .map(({ snapshot }) => parseSnapshot(snapshot))
    .filter((snapshot) => snapshot !== null)
    .toSorted(bySnapshot)[0]
  // Without a recent cursor, for example while Redis is down, the checkpoint is the current snapshot. An
  // older cursor is then behind the retention floor, and its resource is flushed.
  await client.query(
    `with old as (delete from invalidation.checkpoint where taken_at < clock_timestamp() - interval '1 hour')
     insert into invalidation.checkpoint
     values (clock_timestamp() + $1 * interval '1 s', coalesce($2, pg_current_snapshot()))
     on conflict do nothing`,
    [aheadS, lowest?.text ?? null],
  )
}

/** Sorts snapshots of one database, the oldest first. */
function bySnapshot(a: Snapshot, b: Snapshot): number {
  if (a.xmax !== b.xmax) return a.xmax < b.xmax ? -1 : 1
  return b.xip.length - a.xip.length
}

async function emptyNextSegment(client: ClientBase, aheadS: number): Promise<PruneResult> {
  const { rows } = await client.query<{ segment: number; checkpoint: string | null }>(
    `select (extract(epoch from clock_timestamp() + $1 * interval '1 s')::bigint / ${SEGMENT_S} + 1) % ${SEGMENTS} as segment,
            (select snapshot::text from invalidation.checkpoint
             where taken_at <= clock_timestamp() + $1 * interval '1 s' - $2 * interval '1 s' and ${NOT_IN_FUTURE}
             order by taken_at desc limit 1) as checkpoint`,
    [aheadS, CHECKPOINT_AGE_S],
  )
  const { segment, checkpoint } = rows[0] as { segment: number; checkpoint: string | null }
  if (checkpoint === null) return 'still needed'
  const table = `invalidation.event_${segment}`

  // READ COMMITTED: the second check must see what was committed before the lock was granted.
  await client.query('begin isolation level read committed')
  try {
    // An index scan avoids reading all of a large segment while windows wait for the lock.
    await client.query('set local enable_seqscan = off')
    const result = await emptySegment(client, table, checkpoint)
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback')
    throw error
  }
}

/**
 * Empties a segment that no cursor needs. The exclusive lock of TRUNCATE cancels transactions on a
 * standby that have locked the segment, as pg_dump does. So a first check runs under a weak lock.
 */
async function emptySegment(
  client: ClientBase,
  table: string,
  checkpoint: string,
): Promise<PruneResult> {
  for (const mode of ['access share', 'access exclusive'] as const) {
    if (!(await tryLock(client, table, mode))) return 'busy'
    const seen = await checkSegment(client, table, checkpoint)
    if (seen !== 'ready') return seen
  }
  await client.query(
    `insert into invalidation.retention_floor (snapshot) values ($1)
     on conflict (only_row) do update set snapshot = excluded.snapshot`,
    [checkpoint],
  )
  await client.query(`${KEEP_INCARNATION}; truncate ${table}`)
  return 'emptied'
}

/** Checks whether a checkpoint includes all events of a segment, so that it can be emptied. */
async function checkSegment(
  client: ClientBase,
  table: string,
  checkpoint: string,
): Promise<'nothing to empty' | 'still needed' | 'ready'> {
  const { rows } = await client.query<{ empty: boolean; seen: boolean }>(
    `select not exists (select from ${table}) as empty,
            not exists (select from ${table} e
                        where (e.xid >= pg_snapshot_xmax($1::pg_snapshot)
                               or e.xid = any (array(select pg_snapshot_xip($1::pg_snapshot))))
                          and e.xid < pg_snapshot_xmax(pg_current_snapshot())) as seen`,
    [checkpoint],
  )
  const { empty, seen } = rows[0] as { empty: boolean; seen: boolean }
  if (empty) return 'nothing to empty'
  return seen ? 'ready' : 'still needed'
}

/**
 * Locks a segment until the end of the open transaction, or returns false immediately. The server
 * catches the failure: otherwise each attempt beside a long transaction would log an ERROR.
 */
async function tryLock(
  client: ClientBase,
  table: string,
  mode: 'access share' | 'access exclusive',
): Promise<boolean> {
  await client.query(`do $$ begin
    lock table only ${table} in ${mode} mode nowait;
    perform set_config('invalidation.locked', 'true', true);
  exception when lock_not_available then
    perform set_config('invalidation.locked', 'false', true);
  end $$`)
  const { rows } = await client.query<{ locked: boolean }>(
    `select current_setting('invalidation.locked')::boolean as locked`,
  )
  return rows[0]?.locked === true
}
