import type { Row, Tables } from '../support/tables.ts'
import { compare, type createExpected, numbers, pick, time, type Value } from './expected.ts'

/** The tables that `createExpectedProject` joins, in addition to those of `createExpected`. */
export const EXPECTED_PROJECT_TABLES = [
  'adminoptions_admintask',
  'agencies_affiliation',
  'agencies_departmentalservice',
  'caretakers_caretaker',
  'documents_conceptplan',
  'documents_progressreport',
  'documents_projectclosure',
  'documents_projectdocument',
  'documents_projectplan',
  'documents_studentreport',
  'locations_area',
  'projects_projectarea',
  'projects_projectdetail',
  'projects_studentprojectdetails',
  'users_userprofile',
] as const

type TextTable = Extract<(typeof EXPECTED_PROJECT_TABLES)[number], `documents_${string}`>

const ENDED = new Set<Value>(['completed', 'terminated', 'suspended'])

/** Computes the expected project details and statistics by joining whole tables in memory. */
export function createExpectedProject(
  { all, one, every }: Tables,
  { businessAreaOf, photoOf }: ReturnType<typeof createExpected>,
) {
  const areasOf = (project: Row) => [
    ...numbers(one('projects_projectarea', 'project_id', project['id'])?.['areas']),
  ]

  const projectOf = (project: Row) => {
    const { business_area_id: _, created_at, updated_at, ...columns } = project
    const [task] = all('adminoptions_admintask', 'project_id', project['id']).filter(
      ({ action, status }) => action === 'deleteproject' && status === 'pending',
    )
    return {
      ...columns,
      image: photoOf(project, 'user'),
      business_area: businessAreaOf(project, 'user'),
      deletion_request_id: task?.['id'] ?? null,
      areas: areasOf(project).flatMap((id) =>
        all('locations_area', 'id', id).map((area) => pick(area, 'id', 'name', 'area_type')),
      ),
      created_at: time(created_at),
      updated_at: time(updated_at),
    }
  }

  const named = (id: Value) => {
    const user = one('users_user', 'id', id)
    return user ? pick(user, 'id', 'username') : null
  }

  const baseOf = (project: Row) => {
    const detail = all('projects_projectdetail', 'project_id', project['id']).at(-1)
    if (!detail) return null
    const service = one('agencies_departmentalservice', 'id', detail['service_id'])
    return {
      ...pick(detail, 'id', 'old_output_program_id'),
      project: pick(project, 'id', 'title'),
      service: service ? pick(service, 'id', 'name') : null,
      creator: named(detail['creator_id']),
      modifier: named(detail['modifier_id']),
      owner: named(detail['owner_id']),
      data_custodian: named(detail['data_custodian_id']),
      site_custodian: named(detail['site_custodian_id']),
      created_at: time(detail['created_at']),
      updated_at: time(detail['updated_at']),
    }
  }

  const kindOf = (
    table: 'projects_externalprojectdetails' | 'projects_studentprojectdetails',
    project: Row,
  ) => {
    const found = one(table, 'project_id', project['id'])
    if (!found) return []
    const { project_id: _, ...columns } = found
    return { ...columns, project: pick(project, 'id', 'title') }
  }

  const states = (table: TextTable, project: Row, column = 'id') =>
    all(table, 'project_id', project['id'])
      .toSorted((a, b) => compare(b, a, column) || compare(b, a, 'id'))
      .map(({ id, document_id }) => ({
        id,
        status: one('documents_projectdocument', 'id', document_id)?.['status'],
      }))

  const newest = (table: TextTable, project: Row) => states(table, project)[0] ?? null

  const caretakersOf = (userId: Value) =>
    all('caretakers_caretaker', 'user_id', userId)
      .filter(({ end_date }) => end_date === null || Date.parse(String(end_date)) > Date.now())
      .map(({ caretaker_id }) => {
        const caretaker = one('users_user', 'id', caretaker_id)
        return (
          caretaker && pick(caretaker, 'id', 'display_first_name', 'display_last_name', 'email')
        )
      })

  const affiliationOf = (userId: Value) => {
    const work = one('users_userwork', 'user_id', userId)
    const found = one('agencies_affiliation', 'id', work?.['affiliation_id'])
    return found
      ? {
          ...pick(found, 'id', 'name'),
          created_at: time(found['created_at']),
          updated_at: time(found['updated_at']),
        }
      : null
  }

  const userOf = ({ user_id }: Row) => {
    const user = one('users_user', 'id', user_id)
    return {
      ...(user &&
        pick(
          user,
          'id',
          'display_first_name',
          'display_last_name',
          'email',
          'is_active',
          'is_staff',
        )),
      title: one('users_userprofile', 'user_id', user_id)?.['title'] ?? null,
      affiliation: affiliationOf(user_id),
      caretakers: caretakersOf(user_id),
    }
  }

  const membersOf = (project: Row) =>
    all('projects_projectmember', 'project_id', project['id'])
      .toSorted((a, b) => position(a) - position(b) || compare(a, b, 'id'))
      .map((member) => ({
        ...pick(member, 'role', 'is_leader', 'position'),
        user: userOf(member),
        project: pick(project, 'id', 'kind'),
      }))

  const areaCounts = (projects: readonly Row[]) =>
    [...tally(projects, 'business_area_id')].map(([id, count]) => ({
      id,
      name: one('agencies_businessarea', 'id', id)?.['name'] ?? null,
      count,
    }))

  return {
    detail: (project: Row) => {
      const members = membersOf(project)
      return {
        project: projectOf(project),
        details: {
          base: baseOf(project),
          external: kindOf('projects_externalprojectdetails', project),
          student: kindOf('projects_studentprojectdetails', project),
        },
        documents: {
          concept_plan: newest('documents_conceptplan', project),
          project_plan: newest('documents_projectplan', project),
          progress_reports: states('documents_progressreport', project, 'year'),
          student_reports: states('documents_studentreport', project),
          project_closure: newest('documents_projectclosure', project),
        },
        members: members.length > 0 ? members : null,
      }
    },

    statistics: () => {
      const projects = every('projects_project')
      const documents = every('documents_projectdocument')
      return {
        total_projects: projects.length,
        active_projects: projects.filter(({ status }) => !ENDED.has(status)).length,
        projects_without_location: projects.filter((row) => areasOf(row).length === 0).length,
        by_status: Object.fromEntries(tally(projects, 'status')),
        by_kind: Object.fromEntries(tally(projects, 'kind')),
        by_year: [...tally(projects, 'year')]
          .map(([year, count]) => ({ year, count }))
          .toSorted((a, b) => Number(b.year) - Number(a.year)),
        by_business_area: areaCounts(projects),
        documents: {
          by_kind: Object.fromEntries(tally(documents, 'kind')),
          by_status: Object.fromEntries(tally(documents, 'status')),
        },
      }
    },
  }
}

/** Counts the rows of each value of a column. */
function tally(rows: readonly Row[], column: string): Map<Value, number> {
  const counts = new Map<Value, number>()
  for (const row of rows) counts.set(row[column], (counts.get(row[column]) ?? 0) + 1)
  return counts
}

// Members without a position come last.
const position = (member: Row) => Number(member['position'] ?? 2 ** 31)
