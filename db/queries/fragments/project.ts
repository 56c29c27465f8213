import { type Expression, expressionBuilder, sql } from 'kysely'
import { jsonArrayFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'
import { selectAreas } from './area.ts'
import { businessArea } from './business-area.ts'
import { calendarDate } from './calendar-date.ts'
import { perthTime } from './perth-time.ts'
import { photo } from './project-photo.ts'

const eb = expressionBuilder<Database>()

/** Selects every project in the full shape for users; callers add conditions. */
export const selectProjects = () =>
  eb
    .selectFrom('projects_project as project')
    .select((row) => [
      'project.id',
      photo({ id: row.ref('project.id'), title: row.ref('project.title') }, 'user').as('image'),
      businessArea(row.ref('project.business_area_id'), 'user').as('business_area'),
      deletionRequestId(row.ref('project.id')).as('deletion_request_id'),
      areas(row.ref('project.id')).as('areas'),
      perthTime(row.ref('project.created_at')).as('created_at'),
      perthTime(row.ref('project.updated_at')).as('updated_at'),
      'project.kind',
      'project.status',
      'project.year',
      'project.number',
      'project.title',
      'project.description',
      'project.tagline',
      'project.keywords',
      calendarDate(row.ref('project.start_date')).as('start_date'),
      calendarDate(row.ref('project.end_date')).as('end_date'),
      'project.deletion_requested',
      'project.hidden_from_staff_profiles',
    ])

const deletionRequestId = (projectId: Expression<string>) =>
  eb
    .selectFrom('adminoptions_admintask as task')
    .select(({ fn }) => fn.min('task.id').as('id'))
    .where('task.project_id', '=', projectId)
    .where('task.action', '=', 'deleteproject')
    .where('task.status', '=', 'pending')

// In the order in which they were chosen. Skips areas that no longer exist.
const areas = (projectId: Expression<string>) =>
  jsonArrayFrom(
    selectAreas()
      .innerJoin('projects_projectarea as chosen', (join) =>
        join.on((row) => sql<boolean>`${row.ref('area.id')} = any(${row.ref('chosen.areas')})`),
      )
      .where('chosen.project_id', '=', projectId)
      .orderBy(
        (row) => sql`array_position(${row.ref('chosen.areas')}, ${row.ref('area.id')}::integer)`,
      ),
  )
