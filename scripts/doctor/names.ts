import type { Client } from 'pg'
import { type Finding, wrong } from '../../invalidator/index.ts'

/** Checks that the names of the tables with triggers resolve to the same tables on the search path. */
export async function checkNames(client: Client): Promise<Finding[]> {
  const { rows } = await client.query<{ watched: string; name: string; meant: string | null }>(
    `select distinct t.tgrelid::regclass::text as watched, c.relname as name,
            to_regclass(quote_ident(c.relname))::text as meant
     from pg_trigger t join pg_class c on c.oid = t.tgrelid
     where t.tgname like 'zz\\_invalidation\\_%' and not t.tgisinternal
       -- Queries name the tables of the event log with their schema.
       and c.relnamespace is distinct from to_regnamespace('invalidation')
       and to_regclass(quote_ident(c.relname)) is distinct from t.tgrelid
     order by 1`,
  )
  return rows.map(({ watched, name, meant }) =>
    wrong(
      `the triggers are on ${watched}, but here the name ${name} means ${meant ?? 'no table'}`,
      'loads read another table than the one whose changes are logged, so resources that use it are not cached',
      'set the same search_path in DATABASE_URL of all programs, then npm run spms -- install',
    ),
  )
}
