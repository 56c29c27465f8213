import { type Kysely, sql } from 'kysely'
import { parseSnapshot, type Snapshot } from '../event-log/snapshot.ts'
import type { Database } from '../schema.ts'

/** The life of the database that this transaction sees; `null` before somebody has begun it. */
export async function findIncarnation(db: Kysely<Database>): Promise<string | null> {
  const { rows } = await sql<{
    id: string
  }>`select id from invalidation.current_incarnation`.execute(db)
  return rows[0]?.id ?? null
}

/**
 * Begins the incarnation of this start of the server unless one has begun. Of several processes that
 * call it at once one begins it. Not for loads: it waits for the others, for a lock 1 s at most.
 * @throws what Postgres answers on a standby, where the default is read-only, or where the role
 * lacks the right.
 */
export async function beginIncarnation(db: Kysely<Database>): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await sql`set local lock_timeout = '1s'`.execute(trx)
    await sql`select invalidation.begin_incarnation()`.execute(trx)
  })
}

/** What could be seen at one time, and in which life of the database. */
export interface Moment {
  readonly incarnation: string | null
  readonly snapshot: Snapshot
}

/**
 * This moment: what was committed before it can be seen in it. Inside a REPEATABLE READ transaction
 * it is the moment of its snapshot, so never ask there on behalf of a write that has just ended.
 */
export async function findMoment(db: Kysely<Database>): Promise<Moment> {
  const { rows } = await sql<{ snapshot: string; incarnation: string | null }>`
    select pg_catalog.pg_current_snapshot()::pg_catalog.text as snapshot,
           (select id from invalidation.current_incarnation) as incarnation`.execute(db)
  const snapshot = parseSnapshot(rows[0]?.snapshot ?? '')
  if (!rows[0] || !snapshot) throw new Error('Postgres gave no snapshot')
  return { incarnation: rows[0].incarnation, snapshot }
}
