import { type Kysely, type SelectQueryBuilder, sql } from 'kysely'
import type { Database } from '../schema.ts'
import {
  selectExternalDetails,
  selectProjectAreas,
  selectProjectDetails,
  selectStudentDetails,
} from './fragments/project-parts.ts'
import { findArray, findObject } from './text.ts'

/** The tables that describe a project beside its own. */
export type PartTable =
  | 'projects_projectarea'
  | 'projects_projectdetail'
  | 'projects_studentprojectdetails'
  | 'projects_externalprojectdetails'

/** The rows of such a table, of all projects, by id. */
export const findParts = (trx: Kysely<Database>, table: PartTable): Promise<string> =>
  findArray(trx, SELECTS[table]().orderBy(sql`part.id`))

/** One row of such a table, or null. */
export const findPart = (
  trx: Kysely<Database>,
  table: PartTable,
  id: string,
): Promise<string | null> => findObject(trx, SELECTS[table]().where(sql<boolean>`part.id = ${id}`))

/** The row that counts for a project, the newest if there are several; or null. */
export const findPartOfProject = (
  trx: Kysely<Database>,
  table: PartTable,
  projectId: string,
): Promise<string | null> =>
  findObject(
    trx,
    SELECTS[table]()
      .where(sql<boolean>`part.project_id = ${projectId}`)
      .orderBy(sql`part.id desc`)
      .limit(1),
  )

// Their rows have their table's name in common, and that they are to be sent as they are.
type PartQuery = SelectQueryBuilder<Database, never, object>

const SELECTS: Readonly<Record<PartTable, () => PartQuery>> = {
  projects_projectarea: selectProjectAreas,
  projects_projectdetail: selectProjectDetails,
  projects_studentprojectdetails: selectStudentDetails,
  projects_externalprojectdetails: selectExternalDetails,
}
