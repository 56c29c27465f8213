import { type Expression, expressionBuilder } from 'kysely'
import { jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'
import { businessArea } from './business-area.ts'
import { tinyPhoto } from './project-photo.ts'

/** Selects every project in the short shape for users; callers add conditions. */
export const selectTinyProjects = () =>
  expressionBuilder<Database>()
    .selectFrom('projects_project as project')
    .select((row) => [
      'project.id',
      'project.title',
      'project.status',
      'project.kind',
      'project.year',
      'project.number',
      businessArea(row.ref('project.business_area_id'), 'user').as('business_area'),
      tinyPhoto({ id: row.ref('project.id'), title: row.ref('project.title') }, 'user').as('image'),
    ])

/** Returns the project with this id in the short shape. */
export const tinyProject = (id: Expression<string>) =>
  jsonObjectFrom(selectTinyProjects().where('project.id', '=', id))
