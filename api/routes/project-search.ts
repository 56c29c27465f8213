import { Router } from 'express'
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
import type { AppDeps } from '../deps.ts'
import { sendPrivate } from '../http/json.ts'
import { sendPieces } from '../http/pieces.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { operation } from '../openapi/operation.ts'
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
import { parseQuery } from './parse-query.ts'
import { queryAs } from './query-as.ts'

const PAGE_SIZE = 24
const FIRST = 20
/** Small, so that turning one batch into bytes does not hold up other requests. */
const MAP_BATCH = 25

/** Searches among all projects. Before `projectRoutes`, whose ids take any word. */
export function projectSearchRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })

  router
    .route('/projects/list')
    .get(listsProjects, async (req, res) => {
      const { page: number, page_size, ...filter } = await parseQuery(deps, req, listQuery)
      const wanted = { page: number, pageSize: page_size }
      const found = await queryAs(
        deps,
        req,
        (trx) => searchProjects(trx, filterOf(filter), wanted),
        'search',
      )
      sendPrivate(res, found.body, 'search')
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/projects/smallsearch')
    .get(findsFirst, async (req, res) => {
      const filter = filterOf(await parseQuery(deps, req, filterQuery))
      const found = await queryAs(
        deps,
        req,
        (trx) => findFirstProjects(trx, filter, FIRST),
        'search',
      )
      sendPrivate(res, found, 'search')
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/projects/map')
    .get(mapsProjects, async (req, res) => {
      const filter = filterOf(await parseQuery(deps, req, filterQuery))
      const outline = await queryAs(deps, req, (trx) => findMapOutline(trx, filter), 'export')
      await sendPieces(req, res, piecesOf(outline))
    })
    .all(methodNotAllowed('GET'))

  return router

  /**
   * The map, one batch of projects after another. Each is read in a transaction of its own, so that
   * no connection waits for a slow client. What is deleted meanwhile is left out.
   */
  async function* piecesOf({ ids, total, withoutLocation }: MapOutline): AsyncGenerator<string> {
    yield '{"projects":['
    let separator = ''
    for (let from = 0; from < ids.length; from += MAP_BATCH) {
      const batch = ids.slice(from, from + MAP_BATCH)
      const projects = await deps.expensive.run(() =>
        deps.reader.query((trx) => findProjectsById(trx, batch)),
      )
      if (projects === null) continue
      yield separator + projects
      separator = ','
    }
    yield `],"total_projects":${total},"projects_without_location":${withoutLocation}}`
  }
}

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

const listsProjects = operation({
  summary: 'A page of the projects that a search finds, those that go on first',
  who: 'users',
  query: listQuery,
  answers: { 200: projectPage },
})

const findsFirst = operation({
  summary: `The first ${FIRST} projects that a search finds`,
  who: 'users',
  query: filterQuery,
  answers: { 200: z.array(tinyProject) },
})

const mapsProjects = operation({
  summary: 'Every project that a search finds, and how many there are of all',
  who: 'users',
  query: filterQuery,
  answers: { 200: projectMap },
})
