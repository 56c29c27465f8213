import { type Kysely, sql } from 'kysely'
import type { Database } from '../schema.ts'

/** The life of the database that this transaction sees; `null` before somebody has begun it. */
export async function findIncarnation(db: Kysely<Database>): Promise<string | null> {
  const { rows } = await sql<{ id: string }>`select id from invalidation.life`.execute(db)
  return rows[0]?.id ?? null
}
