import type { Client } from 'pg'
import { type Finding, wrong } from './finding.ts'

interface Service {
  readonly application: string
  readonly role: string
}

const APPLICATIONS = ['spms-api', 'spms-invalidator']

/** Whether transactions of the running services may write unless told otherwise. */
export async function checkReadOnly(client: Client): Promise<Finding[]> {
  // What is set for a role in a database stands before what is set for the role, and so on.
  const { rows } = await client.query<Service>(
    `select distinct a.application_name as application, a.usename as role
     from pg_stat_activity a
     cross join lateral (
       select split_part(setting, '=', 2) as value,
              2 * (s.setrole <> 0)::int + (s.setdatabase <> 0)::int as precedence
       from pg_db_role_setting s, unnest(s.setconfig) setting
       where s.setrole in (0, a.usesysid) and s.setdatabase in (0, a.datid)
         and setting like 'default_transaction_read_only=%'
       union all
       select setting, -1 from pg_settings
       where name = 'default_transaction_read_only'
         and source in ('configuration file', 'command line')
       order by precedence desc limit 1
     ) chosen
     where a.datname = current_database() and a.application_name = any ($1)
       and chosen.value::boolean
     order by 1, 2`,
    [APPLICATIONS],
  )
  return rows.map(({ application, role }) =>
    wrong(
      `transactions of ${role}, the role of ${application}, are read-only by default`,
      'what it has to write fails: requests that change something, and the incarnation that begins with a start of Postgres',
      'reset default_transaction_read_only for this role and this database, and restart the service',
    ),
  )
}
