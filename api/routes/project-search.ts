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
/** Projects per batch: small, so that serializing one batch does not delay other requests. */
const MAP_BATCH = 25

/** Searches in all projects. Mount it before `projectRoutes`, whose `:id` matches any word. */
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
   * Yields the JSON of the map in batches of projects. Each batch is read in its own transaction, so that
   * a slow client holds no connection. Projects deleted in the meantime are left out.
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
  summary: 'List a page of the projects that match, ongoing projects first',
  who: 'users',
  query: listQuery,
  answers: { 200: projectPage },
})

const findsFirst = operation({
  summary: `List the first ${FIRST} projects that match`,
  who: 'users',
  query: filterQuery,
  answers: { 200: z.array(tinyProject) },
})

const mapsProjects = operation({
  summary: 'List all projects that match, with the total number of projects',
  who: 'users',
  query: filterQuery,
  answers: { 200: projectMap },
})
