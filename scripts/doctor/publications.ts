import type { Client } from 'pg'
import { type Finding, wrong } from '../../invalidator/index.ts'

interface Publication {
  readonly name: string
  readonly tables: readonly string[]
  readonly for_all_tables: boolean
}

/**
 * Finds publications that include tables of the event log. A subscriber without these tables stops at
 * their first change, and the server keeps its WAL until the subscriber continues.
 */
export async function checkPublications(client: Client): Promise<Finding[]> {
  const { rows } = await client.query<Publication>(
    `select p.pubname as name, p.puballtables as for_all_tables,
            array_agg(t.tablename::text order by t.tablename) as tables
     from pg_publication p join pg_publication_tables t on t.pubname = p.pubname
     where t.schemaname = 'invalidation'
     group by p.pubname, p.puballtables
     order by p.pubname`,
  )
  return rows.map(({ name, tables, for_all_tables }) =>
    wrong(
      `the publication ${name}${for_all_tables ? ' FOR ALL TABLES' : ''} publishes ${tables.join(', ')} of the schema invalidation`,
      'a subscriber without these tables stops with "logical replication target relation does not exist", and the server keeps WAL for it',
      'create the schema on the subscriber, then publish FOR TABLES IN SCHEMA public instead; docs/dba.md has the order of steps',
    ),
  )
}
