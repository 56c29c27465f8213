import type { Client } from 'pg'
import { type Finding, note, wrong } from '../../invalidator/index.ts'

/** A default setting of a role, the database or the server. */
interface Default {
  readonly name: string
  readonly value: string
  readonly scope: string
}

/** Effects of a default on programs that do not override it. */
const OTHERS: Readonly<Record<string, string>> = {
  default_transaction_read_only: 'other programs with this default can only read',
  search_path: 'other programs with this default may resolve table names to other tables',
  row_security: 'other programs with this default may read fewer rows, or fail',
}

/** Settings that the services override in their sessions. */
const REPLACED = [
  ...Object.keys(OTHERS),
  'default_transaction_isolation',
  'datestyle',
  'intervalstyle',
  'timezone',
  'extra_float_digits',
  'bytea_output',
  'standard_conforming_strings',
  'array_nulls',
  'transform_null_equals',
  'gin_fuzzy_search_limit',
]

/** Finds defaults that the sessions of the services override. */
export async function checkDefaults(client: Client): Promise<Finding[]> {
  const { rows } = await client.query<Default>(
    `select lower(split_part(setting, '=', 1)) as name,
            substr(setting, strpos(setting, '=') + 1) as value,
            concat_ws(' in ', 'role ' || quote_ident(r.rolname), 'database ' || quote_ident(d.datname))
              as scope
     from pg_db_role_setting s
     cross join unnest(s.setconfig) setting
     left join pg_roles r on r.oid = s.setrole
     left join pg_database d on d.oid = s.setdatabase
     where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
       and (s.setrole = 0 or r.rolname = session_user or s.setrole in (
         select usesysid from pg_stat_activity
         where datname = current_database() and application_name in ('spms-api', 'spms-invalidator')))
     union all
     select name, setting, 'the server'
     from pg_settings
     where source in ('configuration file', 'command line', 'environment variable')
       and (name, setting) in (('default_transaction_read_only', 'on'), ('row_security', 'off'))
     order by 3, 1`,
  )
  return rows.flatMap(defaultFindings)
}

function defaultFindings({ name, value, scope }: Default): Finding[] {
  const what = `${name}=${value} is set for ${scope}`
  const remedy =
    scope === 'the server'
      ? `alter system reset ${name}, or remove it from postgresql.conf`
      : `alter ${scope.split(' in ')[0]} ... reset ${name}`
  if (name === 'session_replication_role' && value !== 'origin') {
    return [wrong(what, 'foreign keys are not checked for its writes', remedy)]
  }
  if (!REPLACED.includes(name)) return []
  const others = OTHERS[name] ?? 'other programs with this default use it'
  return [note(what, `the API and the invalidator override it; ${others}`, remedy)]
}
