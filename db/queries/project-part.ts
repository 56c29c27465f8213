import { type Kysely, type SelectQueryBuilder, sql } from 'kysely'
import type { Database } from '../schema.ts'
import {
  selectExternalDetails,
  selectProjectAreas,
  selectProjectDetails,
  selectStudentDetails,
} from './fragments/project-parts.ts'
import { findArray, findObject } from './text.ts'

/** Tables with further data of projects. */
export type PartTable =
  | 'projects_projectarea'
  | 'projects_projectdetail'
  | 'projects_studentprojectdetails'
  | 'projects_externalprojectdetails'

/** Returns all rows of such a table, sorted by id. */
export const findParts = (trx: Kysely<Database>, table: PartTable): Promise<string> =>
  findArray(trx, SELECTS[table]().orderBy(sql`part.id`))

/** Returns one row of such a table, or null. */
export const findPart = (
  trx: Kysely<Database>,
  table: PartTable,
  id: string,
): Promise<string | null> => findObject(trx, SELECTS[table]().where(sql<boolean>`part.id = ${id}`))

/** Returns the newest row of a project in such a table, or null. */
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

// The selects have different columns but share the alias `part`; their rows are sent unchanged.
type PartQuery = SelectQueryBuilder<Database, never, object>

const SELECTS: Readonly<Record<PartTable, () => PartQuery>> = {
  projects_projectarea: selectProjectAreas,
  projects_projectdetail: selectProjectDetails,
  projects_studentprojectdetails: selectStudentDetails,
  projects_externalprojectdetails: selectExternalDetails,
}
