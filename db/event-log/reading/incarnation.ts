import { type Kysely, sql } from 'kysely'
import { parseSnapshot, type Snapshot } from './snapshot.ts'

/** Returns the current incarnation of the database; `null` if none has begun. */
export async function findIncarnation<DB>(db: Kysely<DB>): Promise<string | null> {
  const { rows } = await sql<{
    id: string
  }>`select id from invalidation.current_incarnation`.execute(db)
  return rows[0]?.id ?? null
}

/**
 * Begins an incarnation for this start of the server unless one has begun. Of concurrent callers, one
 * begins it and the others wait, each at most 1 s for a lock. Loads must not call it.
 * @throws DatabaseError on a standby, if transactions are read-only by default, or without the right.
 */
export async function beginIncarnation<DB>(db: Kysely<DB>): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await sql`set local lock_timeout = '1s'`.execute(trx)
    await sql`select invalidation.begin_incarnation()`.execute(trx)
  })
}

/** A snapshot and the incarnation of the database in which it was taken. */
export interface Moment {
  readonly incarnation: string | null
  readonly snapshot: Snapshot
}

/**
 * Returns the current snapshot, which includes all earlier commits. A REPEATABLE READ transaction
 * returns its own snapshot, so do not use one to get a snapshot that includes a recent write.
 */
export async function findMoment<DB>(db: Kysely<DB>): Promise<Moment> {
  const { rows } = await sql<{ snapshot: string; incarnation: string | null }>`
    select pg_catalog.pg_current_snapshot()::pg_catalog.text as snapshot,
           (select id from invalidation.current_incarnation) as incarnation`.execute(db)
  const snapshot = parseSnapshot(rows[0]?.snapshot ?? '')
  if (!rows[0] || !snapshot) throw new Error('Postgres returned no snapshot')
  return { incarnation: rows[0].incarnation, snapshot }
}
