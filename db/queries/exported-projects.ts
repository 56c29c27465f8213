import { type Kysely, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { calendarDate } from './fragments/calendar-date.ts'
import { fullName } from './fragments/full-name.ts'
import { projectTag } from './fragments/project-tag.ts'

/** A project in a table of projects. */
export interface ExportedProject {
  readonly id: string
  readonly tag: string
  readonly status: string
  readonly kind: string | null
  readonly year: number
  /** HTML. */
  readonly title: string
  readonly businessArea: string | null
  /** The name and user name of the leader of the business area. */
  readonly areaLeader: string | null
  /** Names, separated by commas. */
  readonly members: string | null
  readonly costCenter: number | null
  readonly startDate: string | null
  readonly endDate: string | null
  readonly hasProgressReport: boolean
  readonly hasStudentReport: boolean
}

export interface ExportOptions {
  /** Id of the annual report to which the projects contribute; without it all projects are returned. */
  readonly reportId?: string | undefined
  /** The projects that follow this id, in the order of ids. */
  readonly after: string
  readonly limit: number
}

/** Returns the projects that follow an id, in the order of ids. */
export function findExportedProjects(
  trx: Kysely<Database>,
  { reportId, after, limit }: ExportOptions,
): Promise<readonly ExportedProject[]> {
  return trx
    .selectFrom('projects_project as project')
    .leftJoin('agencies_businessarea as area', 'area.id', 'project.business_area_id')
    .leftJoin('users_user as leader', 'leader.id', 'area.leader_id')
    .select((row) => {
      const reports = (table: 'documents_progressreport' | 'documents_studentreport') =>
        sql<boolean>`exists (
          select from ${sql.table(table)} as report
          where report.project_id = ${row.ref('project.id')} and report.report_id = ${reportId ?? null}
        )`
      return [
        'project.id',
        projectTag({
          kind: row.ref('project.kind'),
          year: row.ref('project.year'),
          number: row.ref('project.number'),
        }).as('tag'),
        'project.status',
        'project.kind',
        'project.year',
        'project.title',
        'area.name as businessArea',
        sql<string | null>`${fullName({
          first: row.ref('leader.first_name'),
          last: row.ref('leader.last_name'),
        })} || ' (' || ${row.ref('leader.username')} || ')'`.as('areaLeader'),
        row
          .selectFrom('projects_projectmember as member')
          .innerJoin('users_user as person', 'person.id', 'member.user_id')
          .select(({ ref }) =>
            sql<string>`string_agg(${fullName({
              first: ref('person.first_name'),
              last: ref('person.last_name'),
            })}, ', ' order by ${ref('member.position')}, ${ref('member.id')})`.as('names'),
          )
          .whereRef('member.project_id', '=', 'project.id')
          .as('members'),
        'area.cost_center as costCenter',
        calendarDate(row.ref('project.start_date')).as('startDate'),
        calendarDate(row.ref('project.end_date')).as('endDate'),
        reports('documents_progressreport').as('hasProgressReport'),
        reports('documents_studentreport').as('hasStudentReport'),
      ]
    })
    .where('project.id', '>', after)
    .$if(reportId !== undefined, (projects) =>
      projects.where(
        'project.id',
        'in',
        sql<string>`(
          select project_id from documents_progressreport where report_id = ${reportId}
          union select project_id from documents_studentreport where report_id = ${reportId})`,
      ),
    )
    .orderBy('project.id')
    .limit(limit)
    .execute()
}

/** Returns the id of the annual report of the latest year, or null if there is none. */
export async function findLatestReport(trx: Kysely<Database>): Promise<string | null> {
  const report = await trx
    .selectFrom('documents_annualreport')
    .select('id')
    .orderBy('year', 'desc')
    .limit(1)
    .executeTakeFirst()
  return report?.id ?? null
}
