import { readFile } from 'node:fs/promises'
import { sql } from 'kysely'
import { openDatabase } from './database.ts'

const GRANTS = new URL('grants.sql', import.meta.url)

/**
 * Grants the roles `spms_api` and `spms_invalidator` the privileges that they need, in one
 * transaction. `url` must name the role that owns the tables and installed the event log. Safe to
 * repeat.
 */
export async function grant(url: string): Promise<void> {
  const statements = await readFile(GRANTS, 'utf8')
  const db = openDatabase({ url, poolSize: 1, applicationName: 'spms-grant' })
  try {
    await sql.raw(`begin; ${statements} commit`).execute(db)
  } finally {
    await db.destroy()
  }
}
