import type { ClientBase } from 'pg'
import { LOCK, LOCK_CLASS } from './event.ts'
import { openInstaller } from './installer.ts'
import { parseSnapshot, type Snapshot } from './snapshot.ts'

/** How often the lowest cursor is noted. */
const CHECKPOINT_INTERVAL_S = 300
/** How old a note must be before what it has seen may go: the history that a late cursor can count on. */
const CHECKPOINT_AGE_S = 600
/** A cursor that has not moved for so long no longer holds the ring back; its owner will flush. */
const CURSOR_AGE_S = 600

/** Not ahead of the present, as what came with a dump of another cluster may be. */
const NOT_IN_FUTURE = 'pg_snapshot_xmax(snapshot) <= pg_snapshot_xmax(pg_current_snapshot())'

/** Where a resource stands at one Redis. */
export interface Cursor {
  readonly resource: string
  readonly snapshot: string
}

/**
 * Records how far each resource has been applied to a Redis. Few rows, seldom written: those of a
 * Redis that is gone are removed after a day.
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

/** What a round of housekeeping did. */
export type PruneResult = 'emptied' | 'nothing to empty' | 'still needed' | 'busy' | 'locked'

export interface PruneOptions {
  /** Seconds to add to the clock, so that a test need not wait for the ring to turn. */
  readonly aheadS?: number
}

/**
 * Empties the segment after the current one once every cursor has been past it for ten minutes.
 * One replica at a time does it; it never queues for a lock, so writers never wait behind it.
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

/** A command that must not run beside an invalidator was called while one was connected. */
export class InvalidatorRunning extends Error {
  override readonly name = 'InvalidatorRunning'
  /** object_in_use */
  readonly code = '55006'
}

/**
 * Empties the whole log, whatever still waits in it: every cursor falls behind the new floor, so
 * that whoever goes on from one flushes. Returns how many events went. The lock is kept until the
 * connection ends, so that an invalidator that starts meanwhile is refused and tries again.
 * @throws InvalidatorRunning that names the sessions.
 */
export async function emptyLog(url: string): Promise<number> {
  await using installer = await openInstaller(url)
  const { client, run } = installer
  await excludeInvalidators(client)
  const { rows } = await client.query<{ events: string }>(
    'select count(*) as events from invalidation.event',
  )
  // The locks wait for every transaction that has logged, so the snapshot after them has seen all
  // that is about to go. Each statement of this transaction has a snapshot of its own.
  await run(
    `lock table invalidation.event in access exclusive mode;
     insert into invalidation.retention_floor (snapshot) values (pg_current_snapshot())
     on conflict (only_row) do update set snapshot = excluded.snapshot;
     truncate invalidation.event;`,
  )
  return Number(rows[0]?.events)
}

/**
 * A round that failed may still hold the lock: a statement that took it and then failed, or an
 * unlock that did. Taken twice, the lock would outlive the unlock at the end of this round.
 */
const TAKE_PRUNING_LOCK = `select case when exists (
    select from pg_locks
    where locktype = 'advisory' and objsubid = 2 and granted and pid = pg_backend_pid()
      and classid::bigint = $1::integer and objid::bigint = $2::integer
      and database = (select oid from pg_database where datname = current_database())
  ) then true else pg_try_advisory_lock($1::integer, $2::integer) end as locked`

/** Takes the lock that every worker session shares, and keeps it as long as the connection. */
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
    `an invalidator is connected: ${names || 'it has just ended, so try again'}; it prunes the log by itself. ` +
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
  // With no cursor that moves, as while Redis is away, the log is kept as long as any note: whoever
  // goes on from further back finds the floor above it, and flushes.
  await client.query(
    `with old as (delete from invalidation.checkpoint where taken_at < clock_timestamp() - interval '1 hour')
     insert into invalidation.checkpoint
     values (clock_timestamp() + $1 * interval '1 s', coalesce($2, pg_current_snapshot()))
     on conflict do nothing`,
    [aheadS, lowest?.text ?? null],
  )
}

/** Snapshots of one database are ordered by what they have seen; the one that saw least comes first. */
function bySnapshot(a: Snapshot, b: Snapshot): number {
  if (a.xmax !== b.xmax) return a.xmax < b.xmax ? -1 : 1
  return b.xip.length - a.xip.length
}

async function emptyNextSegment(client: ClientBase, aheadS: number): Promise<PruneResult> {
  const { rows } = await client.query<{ segment: number; checkpoint: string | null }>(
    `select (extract(epoch from clock_timestamp() + $1 * interval '1 s')::bigint / 300 + 1) % 4 as segment,
            (select snapshot::text from invalidation.checkpoint
             where taken_at <= clock_timestamp() + $1 * interval '1 s' - $2 * interval '1 s' and ${NOT_IN_FUTURE}
             order by taken_at desc limit 1) as checkpoint`,
    [aheadS, CHECKPOINT_AGE_S],
  )
  const { segment, checkpoint } = rows[0] as { segment: number; checkpoint: string | null }
  if (checkpoint === null) return 'still needed'
  const table = `invalidation.event_${segment}`

  // READ COMMITTED: the second look must see what was committed while the lock was taken.
  await client.query('begin isolation level read committed')
  try {
    // By index: no row of a large segment is read one by one, and no window waits for that.
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
 * The lock that TRUNCATE needs cancels whatever reads the segment on a standby, such as a dump, and
 * is therefore asked for only where the segment can be emptied as far as a first look shows.
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
  await client.query(`truncate ${table}`)
  return 'emptied'
}

/** Whether everything in a segment is visible in a note, so that it can be emptied. */
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
 * Locks a segment until the end of the open transaction, or returns false at once. The failure is
 * caught on the server: otherwise each attempt beside a long transaction is an ERROR in its log.
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
