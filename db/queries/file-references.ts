import { type Kysely, sql } from 'kysely'
import type { Database } from '../schema.ts'

/** The tables whose rows refer to files below the media root. */
const TABLES = [
  'medias_useravatar',
  'medias_projectphoto',
  'medias_businessareaphoto',
  'medias_agencyimage',
  'medias_projectdocumentpdf',
  'medias_projectplanmethodologyphoto',
  'medias_aecendorsementpdf',
] as const satisfies readonly (keyof Database)[]

/** Returns those of some paths to which a row refers. */
export async function findReferencedPaths(
  db: Kysely<Database>,
  paths: readonly string[],
): Promise<readonly string[]> {
  const selects = TABLES.map(
    (table) => sql`select file from ${sql.table(table)} where file = any(${paths}::text[])`,
  )
  const { rows } = await sql<{ file: string }>`${sql.join(selects, sql` union `)}`.execute(db)
  return rows.map(({ file }) => file)
}
