import { z } from 'zod'
import { PROJECT_STATUSES } from '../../db/queries/fragments/project-status.ts'
import {
  findFirstProjects,
  findMapOutline,
  findProjectsById,
  type MapOutline,
  type ProjectFilter,
  searchProjects,
} from '../../db/queries/project-search.ts'
import { projectMap, projectPage } from '../../shared/shapes/search.ts'
import { tinyProject } from '../../shared/shapes/tiny-project.ts'
import { type Endpoint, get, getPieces, type RunQuery, user } from '../endpoints/index.ts'
import { reference } from './field.ts'
import {
  count,
  given,
  orAll,
  page,
  pageSize,
  parameter,
  references,
  searchTerm,
} from './parameter.ts'

const PAGE_SIZE = 24
const FIRST = 20
/** Projects per batch: small, so that serializing one batch does not delay other requests. */
const MAP_BATCH = 25

const filterQuery = z.object({
  searchTerm,
  selected_user: parameter(reference.optional()),
  businessarea: orAll(references),
  projectstatus: orAll(z.enum([...PROJECT_STATUSES, 'unknown'])),
  projectkind: orAll(z.enum(['science', 'student', 'external', 'core_function'])),
  year: orAll(count),
  only_active: given,
  only_inactive: given,
})

const listQuery = filterQuery.extend({ page, page_size: pageSize(PAGE_SIZE) })

const filterOf = (sent: z.output<typeof filterQuery>): ProjectFilter => ({
  searchTerm: sent.searchTerm,
  member: sent.selected_user,
  businessAreas: sent.businessarea,
  status: sent.projectstatus,
  kind: sent.projectkind,
  year: sent.year,
  isActive: sent.only_active || (sent.only_inactive ? false : undefined),
})

/** Searches in all projects. */
export const projectSearchEndpoints: readonly Endpoint[] = [
  get('/projects/list', {
    summary: 'List a page of the projects that match, ongoing projects first',
    access: user,
    query: listQuery,
    answers: { 200: projectPage },
    cost: 'search',
    async read(trx, _, { query: { page, page_size: pageSize, ...filter } }) {
      return (await searchProjects(trx, filterOf(filter), { page, pageSize })).body
    },
  }),
  get('/projects/smallsearch', {
    summary: `List the first ${FIRST} projects that match`,
    access: user,
    query: filterQuery,
    answers: { 200: z.array(tinyProject) },
    cost: 'search',
    read: (trx, _, { query }) => findFirstProjects(trx, filterOf(query), FIRST),
  }),
  getPieces('/projects/map', {
    summary: 'List all projects that match, with the total number of projects',
    access: user,
    query: filterQuery,
    answers: { 200: projectMap },
    cost: 'export',
    read: (trx, _, { query }) => findMapOutline(trx, filterOf(query)),
    pieces: piecesOf,
  }),
]

/**
 * Yields the JSON of the map in batches of projects. Each batch is read in its own transaction, so that
 * a slow client holds no connection. Projects deleted in the meantime are left out.
 */
async function* piecesOf(
  { ids, total, withoutLocation }: MapOutline,
  run: RunQuery,
): AsyncGenerator<string> {
  yield '{"projects":['
  let separator = ''
  for (let from = 0; from < ids.length; from += MAP_BATCH) {
    const batch = ids.slice(from, from + MAP_BATCH)
    const projects = await run((trx) => findProjectsById(trx, batch))
    if (projects === null) continue
    yield separator + projects
    separator = ','
  }
  yield `],"total_projects":${total},"projects_without_location":${withoutLocation}}`
}
