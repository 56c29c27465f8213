import { type Kysely, expressionBuilder, sql } from 'kysely'
import { jsonArrayFrom } from 'kysely/helpers/postgres'
import type { Database } from '../schema.ts'
import { isLocated } from './fragments/is-located.ts'
import { jsonObject } from './fragments/json-object.ts'
import { ACTIVE_STATUSES } from './fragments/project-status.ts'
import { jsonText } from './fragments/json-text.ts'

/** Returns the numbers of projects and documents by kind, status, year and business area. */
export async function findProjectStatistics(trx: Kysely<Database>): Promise<string> {
  const { body } = await trx
    .selectNoFrom(jsonText(jsonObject(statistics)).as('body'))
    .executeTakeFirstOrThrow()
  return body
}

const projects = expressionBuilder<Database>().selectFrom('projects_project as project')

const counted = projects.select(({ fn }) => fn.countAll().as('count'))

const byYear = jsonArrayFrom(
  counted.select('project.year').groupBy('project.year').orderBy('project.year', 'desc'),
)

const byBusinessArea = jsonArrayFrom(
  projects
    .leftJoin('agencies_businessarea as area', 'area.id', 'project.business_area_id')
    .select(({ fn }) => ['area.id', 'area.name', fn.countAll().as('count')])
    .groupBy('area.id')
    .orderBy('area.name')
    .orderBy('area.id'),
)

/** Returns `{"<value>": n}` for the values of a column, compared by bytes under any collation. */
const tally = (
  table: 'projects_project' | 'documents_projectdocument',
  column: 'kind' | 'status',
) =>
  sql`(
    select
      coalesce(
        '{' || string_agg(
          to_json(value)::text || ':' || count, ',' order by value
        ) || '}',
        '{}'
      )::json
    from (
      select coalesce(${sql.ref(column)} collate "C", 'unknown') as value, count(*) as count
      from ${sql.table(table)}
      group by 1
    ) as tallied
  )`

const statistics = {
  total_projects: counted,
  active_projects: counted.where('project.status', 'in', ACTIVE_STATUSES),
  projects_without_location: counted.where((row) => row.not(isLocated(row.ref('project.id')))),
  by_status: tally('projects_project', 'status'),
  by_kind: tally('projects_project', 'kind'),
  by_year: byYear,
  by_business_area: byBusinessArea,
  documents: jsonObject({
    by_kind: tally('documents_projectdocument', 'kind'),
    by_status: tally('documents_projectdocument', 'status'),
  }),
}
