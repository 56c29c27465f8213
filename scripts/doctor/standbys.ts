import type { Client } from 'pg'
import { type Finding, note } from './finding.ts'

/** Physical standbys, on which emptying a segment of the log conflicts with a dump or a long query. */
export async function checkStandbys(client: Client): Promise<Finding[]> {
  // pg_receivewal and pg_basebackup replay nothing. Without pg_read_all_stats the details are null.
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
        : `connections replicate this server: ${names}; pg_read_all_stats shows whether they are standbys`,
      'each time a segment of the log is emptied there, a dump that holds locks in the schema invalidation is cancelled after max_standby_streaming_delay',
      'dump there with --exclude-schema=invalidation, or on the primary; docs/dba.md',
    ),
  ]
}
