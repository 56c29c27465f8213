import { type Kysely, expressionBuilder, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { contains } from './fragments/contains.ts'
import { isLocated } from './fragments/is-located.ts'
import { listed } from './fragments/listed.ts'
import { selectProjects } from './fragments/project.ts'
import { hasStopped, isActive, isUnknown } from './fragments/project-status.ts'
import { selectTinyProjects } from './fragments/tiny-project.ts'
import { type Page, type PageOptions, findArray, findPageById } from './text.ts'
import { jsonText } from './fragments/json-text.ts'

/** Conditions for projects; missing ones do not apply. */
export interface ProjectFilter {
  /** Part of the texts of a project, or its tag or the beginning of it: `CF-2022-12`. */
  readonly searchTerm?: string | undefined
  /** Id of a member. */
  readonly member?: string | undefined
  /** Ids of business areas; a project must belong to one of them. */
  readonly businessAreas?: readonly string[] | undefined
  /** `unknown` matches every status that is not one of `PROJECT_STATUSES`. */
  readonly status?: string | undefined
  readonly kind?: string | undefined
  readonly year?: number | undefined
  readonly isActive?: boolean | undefined
}

/** Returns a page of the matching projects, those that have not stopped first. */
export const searchProjects = (
  trx: Kysely<Database>,
  filter: ProjectFilter,
  page: PageOptions,
): Promise<Page> =>
  findPageById(
    trx,
    'projects',
    idsOf(filter),
    (ids) =>
      selectProjects().innerJoin(listed(ids), 'listed.id', 'project.id').orderBy('listed.position'),
    page,
  )

/** Returns the first matching projects in the short shape. */
export const findFirstProjects = (
  trx: Kysely<Database>,
  filter: ProjectFilter,
  limit: number,
): Promise<string> =>
  findArray(
    trx,
    selectTinyProjects()
      .innerJoin(listed(sql`array(${idsOf(filter).limit(limit)})`), 'listed.id', 'project.id')
      .orderBy('listed.position'),
  )

/** The ids of the map's projects, and two counts over all projects. */
export interface MapOutline {
  readonly ids: readonly string[]
  readonly total: number
  readonly withoutLocation: number
}

/** Returns the ids of the map's projects, without their data. */
export async function findMapOutline(
  trx: Kysely<Database>,
  filter: ProjectFilter,
): Promise<MapOutline> {
  const { total, withoutLocation, ids } = await trx
    .selectFrom('projects_project as project')
    .select((row) => [
      row.fn.countAll<string>().as('total'),
      row.fn
        .countAll<string>()
        .filterWhere(row.not(isLocated(row.ref('project.id'))))
        .as('withoutLocation'),
      sql<readonly string[]>`array(${idsOf(filter)})`.as('ids'),
    ])
    .executeTakeFirstOrThrow()
  return { ids, total: Number(total), withoutLocation: Number(withoutLocation) }
}

/**
 * Returns these projects in the full shape and in this order, as JSON texts separated by
 * commas; `null` if none of them exists any more.
 */
export async function findProjectsById(
  trx: Kysely<Database>,
  ids: readonly string[],
): Promise<string | null> {
  const projects = selectProjects()
    .innerJoin(listed(sql`${ids}::bigint[]`), 'listed.id', 'project.id')
    .orderBy('listed.position')
  const { body } = await trx
    .selectFrom(projects.as('project'))
    .select(sql<string | null>`string_agg(${jsonText(sql`to_json(project)`)}, ',')`.as('body'))
    .executeTakeFirstOrThrow()
  return body
}

const eb = expressionBuilder<Database>()

const inListOrder = eb
  .selectFrom('projects_project as project')
  .select('project.id')
  .orderBy((row) => hasStopped(row.ref('project.status')))
  .orderBy('project.year', 'desc')
  .orderBy('project.id')

/** Selects the ids of the matching projects, in the order of every project list. */
function idsOf(filter: ProjectFilter) {
  const { searchTerm, member, businessAreas, status, kind, year, isActive: active } = filter
  let found = inListOrder
  if (searchTerm !== undefined) found = found.where(mentions(searchTerm))
  if (member !== undefined) {
    found = found.where(
      'project.id',
      'in',
      eb
        .selectFrom('projects_projectmember as member')
        .select('member.project_id')
        .where('member.user_id', '=', member),
    )
  }
  if (businessAreas !== undefined) {
    found = found.where(sql<boolean>`project.business_area_id = any(${businessAreas}::bigint[])`)
  }
  if (status === 'unknown') found = found.where(isUnknown(statusColumn))
  else if (status !== undefined) found = found.where('project.status', '=', status)
  if (kind !== undefined) found = found.where('project.kind', '=', kind)
  if (year !== undefined) found = found.where('project.year', '=', year)
  if (active !== undefined) {
    found = found.where((row) =>
      active ? isActive(statusColumn) : row.not(isActive(statusColumn)),
    )
  }
  return found
}

const projectRow = expressionBuilder<
  Database & { readonly project: Database['projects_project'] },
  'project'
>()

const statusColumn = projectRow.ref('project.status')
const numberText = sql<string>`${projectRow.ref('project.number')}::text`

function mentions(term: string) {
  const tag = /^(cf|sp|stp|ext)-([^-]*)(?:-([^-]*))?/i.exec(term)
  if (tag) return matchesTag(tag)
  return projectRow.or(
    [
      projectRow.ref('project.title'),
      projectRow.ref('project.description'),
      projectRow.ref('project.tagline'),
      projectRow.ref('project.keywords'),
      numberText,
    ].map((text) => contains(text, term)),
  )
}

const KINDS: Readonly<Record<string, string>> = {
  cf: 'core_function',
  sp: 'science',
  stp: 'student',
  ext: 'external',
}

// The term may be only the beginning of a tag, so an incomplete year or number is ignored.
function matchesTag([, prefix = '', year = '', number = '']: readonly string[]) {
  const conditions = [projectRow('project.kind', '=', KINDS[prefix.toLowerCase()] ?? null)]
  if (/^\d{4}$/.test(year)) conditions.push(projectRow('project.year', '=', Number(year)))
  // One pattern for all three steps would take quadratic time for many zeros.
  const trimmed = number.trim()
  const digits = /^\d+$/.test(trimmed) ? trimmed.replace(/^0+(?=\d)/, '') : undefined
  const hasNumber = digits === undefined ? [] : [contains(numberText, digits)]
  return projectRow.and([...conditions, ...hasNumber])
}
