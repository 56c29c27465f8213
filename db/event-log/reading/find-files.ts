import { type Kysely, sql } from 'kysely'
import { fileNames, type Files, filesSql } from './table-files.ts'

/** Returns the current file of each table, independent of the snapshot of an open transaction. */
export async function findFiles<DB>(db: Kysely<DB>, tables: readonly string[]): Promise<Files> {
  const [before = '', after = ''] = filesSql('?').split('?')
  const { rows } = await sql<{ files: Files }>`
    select ${sql.raw(before)}${fileNames(tables)}${sql.raw(after)} as files`.execute(db)
  return rows[0]?.files ?? []
}

/**
 * Locks tables so that none is rewritten, truncated or replaced before the transaction ends. LOCK TABLE
 * takes no snapshot, so the transaction takes its snapshot afterwards.
 */
export async function lockTables<DB>(trx: Kysely<DB>, tables: readonly string[]): Promise<void> {
  if (tables.length === 0) return
  await sql`lock table ${sql.raw(fileNames(tables).join(', '))} in access share mode`.execute(trx)
}

/** Returns the current files, and the incarnation in the snapshot of the transaction. */
export async function findFilesAndIncarnation<DB>(
  db: Kysely<DB>,
  tables: readonly string[],
): Promise<{ readonly files: Files; readonly incarnation: string | null }> {
  const [before = '', after = ''] = filesSql('?').split('?')
  const { rows } = await sql<{ files: Files; incarnation: string | null }>`
    select (select id from invalidation.current_incarnation) as incarnation,
           ${sql.raw(before)}${fileNames(tables)}${sql.raw(after)} as files`.execute(db)
  return rows[0] ?? { files: [], incarnation: null }
}
