import { type Kysely, expressionBuilder, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { contains } from './fragments/contains.ts'
import { isLocated } from './fragments/is-located.ts'
import { listed } from './fragments/listed.ts'
import { selectProjects } from './fragments/project.ts'
import { hasStopped, isActive, isUnknown } from './fragments/project-status.ts'
import { selectTinyProjects } from './fragments/tiny-project.ts'
import { type Page, type PageOptions, findArray, findPageById } from './text.ts'

/** Which projects to find; what is left out does not matter. */
export interface ProjectFilter {
  /** A part of what is written of them, or of their tag: `CF-2022-12`. */
  readonly searchTerm?: string | undefined
  /** Id of one of their members. */
  readonly member?: string | undefined
  /** Ids of business areas, of which they have one. */
  readonly businessAreas?: readonly string[] | undefined
  /** `unknown`: one that we do not know. */
  readonly status?: string | undefined
  readonly kind?: string | undefined
  readonly year?: number | undefined
  readonly isActive?: boolean | undefined
}

/** A page of the projects that were searched for (S.Project), those that go on before the others. */
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

/** The first of them in their short shape (S.TinyProject). */
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

/** Which projects the map shows, and how many there are of all. */
export interface MapOutline {
  readonly ids: readonly string[]
  readonly total: number
  readonly withoutLocation: number
}

/** Finds what the map shows, without showing it yet. */
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
 * These projects in their full shape (S.Project), in this order, as JSON text with commas between them; `null` if
 * none of them exists any more.
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
    .select(sql<string | null>`string_agg(to_json(project)::text, ',')`.as('body'))
    .executeTakeFirstOrThrow()
  return body
}

const eb = expressionBuilder<Database>()

const byRelevance = eb
  .selectFrom('projects_project as project')
  .select('project.id')
  .orderBy((row) => hasStopped(row.ref('project.status')))
  .orderBy('project.year', 'desc')
  .orderBy('project.id')

/** The ids of the projects that pass, in the order of every list of them. */
function idsOf(filter: ProjectFilter) {
  const { searchTerm, member, businessAreas, status, kind, year, isActive: active } = filter
  let found = byRelevance
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
  if (tag) return isTagged(tag)
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

// Whoever types a tag has only its beginning at first: a year or number that is none does not count.
function isTagged([, prefix = '', year = '', number = '']: readonly string[]) {
  const conditions = [projectRow('project.kind', '=', KINDS[prefix.toLowerCase()] ?? null)]
  if (/^\d{4}$/.test(year)) conditions.push(projectRow('project.year', '=', Number(year)))
  // No pattern for all three: it would backtrack for as long as the square of the zeros.
  const trimmed = number.trim()
  const digits = /^\d+$/.test(trimmed) ? trimmed.replace(/^0+(?=\d)/, '') : undefined
  const hasNumber = digits === undefined ? [] : [contains(numberText, digits)]
  return projectRow.and([...conditions, ...hasNumber])
}
