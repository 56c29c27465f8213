import { type Kysely, sql } from 'kysely'
import type { Database } from '../schema.ts'

/** Returns the paths of the files that belong to users. */
export const findFilesOfUsers = (trx: Kysely<Database>, ids: readonly string[]) =>
  findPaths(trx, [sql`select file from medias_useravatar where user_id = any(${ids}::bigint[])`])

/** Returns the paths of the files that belong to a business area. */
export const findFilesOfBusinessArea = (trx: Kysely<Database>, id: string) =>
  findPaths(trx, [sql`select file from medias_businessareaphoto where business_area_id = ${id}`])

/** Returns the paths of the files that belong to a project and its documents. */
export function findFilesOfProject(trx: Kysely<Database>, id: string) {
  const plans = sql`select id from documents_projectplan where project_id = ${id}`
  return findPaths(trx, [
    sql`select file from medias_projectphoto where project_id = ${id}`,
    sql`select file from medias_projectdocumentpdf where project_id = ${id}`,
    sql`select file from medias_projectplanmethodologyphoto where project_plan_id in (${plans})`,
    sql`select file from medias_aecendorsementpdf where endorsement_id in
      (select id from documents_endorsement where project_plan_id in (${plans}))`,
  ])
}

async function findPaths(
  trx: Kysely<Database>,
  selects: ReturnType<typeof sql>[],
): Promise<readonly string[]> {
  const { rows } = await sql<{ file: string | null }>`
    ${sql.join(selects, sql` union `)}
  `.execute(trx)
  return rows.flatMap(({ file }) => (file ? [file] : []))
}
