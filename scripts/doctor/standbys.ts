import type { Client } from 'pg'
import { type Finding, note } from '../../invalidator/index.ts'

/** Finds physical standbys. Emptying a segment of the event log conflicts there with a dump or a long query. */
export async function checkStandbys(client: Client): Promise<Finding[]> {
  // pg_receivewal and pg_basebackup replay nothing. Without pg_read_all_stats these columns are null.
  const { rows } = await client.query<{ name: string; is_known: boolean }>(
    `select coalesce(nullif(r.application_name, ''), 'pid ' || r.pid) as name,
            r.state is not null as is_known
     from pg_stat_replication r
     where (r.state is null or r.replay_lsn is not null)
       and not exists (select from pg_replication_slots s
                       where s.active_pid = r.pid and s.slot_type = 'logical')
     order by 1`,
  )
  if (rows.length === 0) return []
  const names = rows.map(({ name }) => name).join(', ')
  return [
    note(
      rows.every(({ is_known }) => is_known)
        ? `standbys replay this server: ${names}`
        : `connections replicate this server: ${names}; with pg_read_all_stats doctor can see whether they are standbys`,
      'when a segment of the event log is emptied, the standby cancels a dump that locks tables of the schema invalidation, after max_standby_streaming_delay',
      'dump the standby with --exclude-schema=invalidation, or dump the primary; see docs/dba.md',
    ),
  ]
}
