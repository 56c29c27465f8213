import { type Expression, expressionBuilder, sql } from 'kysely'
import { jsonArrayFrom, jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'
import { selectAreas } from './area.ts'
import { perthTime } from './perth-time.ts'
import { username } from './username.ts'

const eb = expressionBuilder<Database>()

/** Selects the details of every project; callers add conditions. A project may have several rows. */
export const selectProjectDetails = () =>
  eb
    .selectFrom('projects_projectdetail as part')
    .select((row) => [
      'part.id',
      titledProject(row.ref('part.project_id')).as('project'),
      service(row.ref('part.service_id')).as('service'),
      username(row.ref('part.creator_id')).as('creator'),
      username(row.ref('part.modifier_id')).as('modifier'),
      username(row.ref('part.owner_id')).as('owner'),
      username(row.ref('part.data_custodian_id')).as('data_custodian'),
      username(row.ref('part.site_custodian_id')).as('site_custodian'),
      perthTime(row.ref('part.created_at')).as('created_at'),
      perthTime(row.ref('part.updated_at')).as('updated_at'),
      'part.old_output_program_id',
    ])

/** Selects the details of every external project; callers add conditions. */
export const selectExternalDetails = () =>
  eb
    .selectFrom('projects_externalprojectdetails as part')
    .select((row) => [
      'part.id',
      titledProject(row.ref('part.project_id')).as('project'),
      'part.collaboration_with',
      'part.budget',
      'part.description',
      'part.aims',
    ])

/** Selects the details of every student project; callers add conditions. */
export const selectStudentDetails = () =>
  eb
    .selectFrom('projects_studentprojectdetails as part')
    .select((row) => [
      'part.id',
      titledProject(row.ref('part.project_id')).as('project'),
      'part.level',
      'part.organisation',
    ])

/** Selects the areas of every project; callers add conditions. */
export const selectProjectAreas = () =>
  eb
    .selectFrom('projects_projectarea as part')
    .select((row) => [
      'part.id',
      perthTime(row.ref('part.created_at')).as('created_at'),
      perthTime(row.ref('part.updated_at')).as('updated_at'),
      'part.project_id as project',
      jsonArrayFrom(chosenAreas(row.ref('part.areas'))).as('areas'),
    ])

// In the order in which they were chosen. Skips areas that no longer exist.
const chosenAreas = (ids: Expression<number[]>) =>
  selectAreas()
    .where((row) => sql<boolean>`${row.ref('area.id')} = any(${ids})`)
    .orderBy((row) => sql`array_position(${ids}, ${row.ref('area.id')}::integer)`)

const titledProject = (id: Expression<string>) =>
  jsonObjectFrom(
    eb
      .selectFrom('projects_project as titled')
      .select(['titled.id', 'titled.title'])
      .where('titled.id', '=', id),
  )

const service = (id: Expression<string | null>) =>
  jsonObjectFrom(
    eb
      .selectFrom('agencies_departmentalservice as service')
      .select(['service.id', 'service.name'])
      .where('service.id', '=', id),
  )
