import type { Client } from 'pg'
import { identifier } from '../../db/event-log/index.ts'
import { compileRules } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import { type Finding, note } from '../../invalidator/index.ts'

/** Smaller tables are not reported, because the planner scans them in any case. */
const PAGES = 100

/** Checks that the planner has statistics for the watched tables. */
export async function checkStatistics(client: Client): Promise<Finding[]> {
  const { rows } = await client.query<{ name: string }>(
    `select c.oid::regclass::text as name
     from unnest($1::text[]) k join pg_class c on c.oid = to_regclass(k)
     where pg_relation_size(c.oid) > $2::bigint * current_setting('block_size')::bigint
       and (c.reltuples < 0 or not exists (
         select from pg_stat_user_tables s where s.relid = c.oid
           and coalesce(s.last_analyze, s.last_autoanalyze) is not null))
     order by 1`,
    [compileRules(catalog).tables.map(({ name }) => identifier(name)), PAGES],
  )
  return rows.map(({ name }) =>
    note(
      `${name} was never analysed`,
      'loads and lookups may get slow plans, for example after a restore',
      `analyze ${name}; leave autovacuum on`,
    ),
  )
}
