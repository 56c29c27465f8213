import type pg from 'pg'

/**
 * Whether the segments and the incarnation are unlogged, and a TRUNCATE of a segment ends the incarnation.
 * A logged segment only costs WAL. A logged incarnation would survive a crash that empties the segments.
 */
export async function areSegmentsIntact(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ intact: boolean }>(
    `select count(*) = 5 as intact
     from pg_class c
     where c.relnamespace = to_regnamespace('invalidation') and c.relpersistence = 'u'
       and (c.relname = 'incarnation'
            or c.relname = any ('{event_0,event_1,event_2,event_3}') and exists (
              select from pg_trigger t
              where t.tgrelid = c.oid and t.tgname = 'end_incarnation' and t.tgenabled = 'A'
                and t.tgtype = 32 and t.tgqual is null
                and t.tgfoid = to_regproc('invalidation.end_incarnation')))`,
  )
  return rows[0]?.intact === true
}

/** Returns the segments that are logged: each event in them writes WAL, and a crash does not empty them. */
export async function findLoggedSegments(client: pg.ClientBase): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select i.inhrelid::regclass::text as name
     from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = to_regclass('invalidation.event') and c.relpersistence = 'p'
     order by 1`,
  )
  return rows.map(({ name }) => name)
}
