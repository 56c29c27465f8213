import { type Expression, expressionBuilder, sql } from 'kysely'
import { jsonArrayFrom, jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'
import { fileUrl } from './file-url.ts'
import { jsonObject } from './json-object.ts'

const eb = expressionBuilder<Database>()

/** Selects every business area with the number of its projects; callers add conditions. */
export const selectMiniBusinessAreas = () =>
  eb
    .selectFrom('agencies_businessarea as area')
    .leftJoin('medias_businessareaphoto as picture', 'picture.business_area_id', 'area.id')
    .select((row) => [
      'area.id',
      'area.name',
      person(row.ref('area.leader_id')).as('leader'),
      person(row.ref('area.caretaker_id')).as('caretaker'),
      fileUrl(row.ref('picture.file')).as('image'),
      eb
        .selectFrom('projects_project as project')
        .select(({ fn }) => fn.countAll().as('count'))
        .where('project.business_area_id', '=', row.ref('area.id'))
        .as('project_count'),
      jsonObjectFrom(
        eb
          .selectFrom('agencies_division as division')
          .select(['division.id', 'division.name', 'division.slug'])
          .where('division.id', '=', row.ref('area.division_id')),
      ).as('division'),
    ])

/** Returns the business areas that a user leads, as a JSON array ordered by name. */
export const ledBusinessAreas = (userId: Expression<string>) =>
  jsonArrayFrom(
    selectMiniBusinessAreas()
      .where('area.leader_id', '=', userId)
      .orderBy('area.name')
      .orderBy('area.id'),
  )

const person = (id: Expression<string | null>) =>
  sql`case when ${id} is not null then ${jsonObject({ id })} end`
