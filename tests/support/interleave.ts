import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { Database } from '../../db/schema.ts'
import { until } from './until.ts'

/**
 * Runs writes concurrently: holds a lock that each of them needs until all wait for it, in this
 * order. No write can then have read changes of the one before it.
 *
 *     await interleave(db, sql`select from projects_project where id = 51 for update`, [
 *       () => api.send('DELETE', 'projects/project_members/51/2', { as: 1 }),
 *       () => api.send('DELETE', 'projects/project_members/51/1', { as: 2 }),
 *     ])
 */
export async function interleave<T>(
  db: Kysely<Database>,
  lock: RawBuilder<unknown>,
  writes: readonly (() => Promise<T>)[],
): Promise<T[]> {
  const { running } = await db.transaction().execute(async (holder) => {
    await lock.execute(holder)
    const running: Promise<T>[] = []
    for (const write of writes) {
      running.push(write())
      await untilWaiting(db, running.length)
    }
    return { running }
  })
  return Promise.all(running)
}

/** Waits until this number of sessions wait for a lock. `db` must not be one of them. */
export const untilWaiting = (db: Kysely<Database>, sessions: number): Promise<void> =>
  until(async () => {
    const { rows } = await sql`
      select from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(db)
    return rows.length === sessions
  })
