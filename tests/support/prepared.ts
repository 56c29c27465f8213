import { createHash } from 'node:crypto'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import type { Database } from '../../db/schema.ts'

/**
 * Opens a database with one session that plans each statement only once. For tests that run the
 * same queries thousands of times, where planning would take most of the time.
 */
export function openPrepared(url: string): Kysely<Database> {
  const pool = new Pool({
    connectionString: url,
    max: 1,
    options: '-c plan_cache_mode=force_generic_plan',
  })
  pool.on('connect', (client) => {
    const run = client.query.bind(client)
    const named = (text: string, values: unknown[] = []) =>
      run({ name: createHash('sha1').update(text).digest('hex'), text, values })
    Object.assign(client, { query: named })
  })
  return new Kysely({ dialect: new PostgresDialect({ pool }) })
}
