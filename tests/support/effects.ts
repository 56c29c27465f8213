import { type Kysely, sql } from 'kysely'
import type { Database } from '../../db/schema.ts'
import { changesBetween, type Image, takeImage } from './row-changes.ts'

/**
 * Returns all changes that `work` makes in application tables, so that a test also detects unwanted
 * ones. `- table id` is a deleted row, `~ table id: columns` a changed row, `+ table` a new row.
 * Sorted, without `updated_at`.
 */
export async function effectsOf(
  db: Kysely<Database>,
  work: () => Promise<unknown>,
): Promise<readonly string[]> {
  const before = await imageOfAll(db)
  await work()
  return changesBetween(before, await imageOfAll(db))
    .flatMap(({ table, before: old, after: now }) => {
      if (now === null) return [`- ${table} ${String(old?.id)}`]
      if (old === null) return [`+ ${table}`]
      const changed = Object.keys(now).filter(
        (column) =>
          column !== 'updated_at' && JSON.stringify(now[column]) !== JSON.stringify(old[column]),
      )
      return changed.length > 0 ? [`~ ${table} ${String(now.id)}: ${changed.join(', ')}`] : []
    })
    .toSorted()
}

async function imageOfAll(db: Kysely<Database>): Promise<Image> {
  const { rows } = await sql<{ name: string }>`
    select table_name as name from information_schema.columns
    where table_schema = 'public' and column_name = 'id'`.execute(db)
  return takeImage(
    db,
    rows.map(({ name }) => name),
  )
}
