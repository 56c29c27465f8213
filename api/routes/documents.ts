import { Router } from 'express'
import { z } from 'zod'
import { findDocumentPage } from '../../db/queries/document-list.ts'
import { findPendingEndorsements } from '../../db/queries/endorsements.ts'
import { findPendingDocuments } from '../../db/queries/pending-documents.ts'
import { pendingDocuments, pendingEndorsements } from '../../shared/shapes/pending-documents.ts'
import { documentPage } from '../../shared/shapes/search.ts'
import type { AppDeps } from '../deps.ts'
import { sendPrivate } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { operation } from '../openapi/operation.ts'
import { reference } from './field.ts'
import { count, orAll, page, pageSize, parameter, searchTerm } from './parameter.ts'
import { parseQuery } from './parse-query.ts'
import { queryAs } from './query-as.ts'

const PAGE_SIZE = 24

/** Documents of projects, and documents that wait for an action of the user. */
export function documentRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })

  router
    .route('/documents/projectdocuments')
    .get(listsDocuments, async (req, res) => {
      const { page: number, page_size, ...filter } = await parseQuery(deps, req, listQuery)
      const wanted = { page: number, pageSize: page_size }
      const found = await queryAs(
        deps,
        req,
        (trx) => findDocumentPage(trx, filter, wanted),
        'search',
      )
      sendPrivate(res, found.body, 'search')
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/documents/projectdocuments/pendingmyaction')
    .get(showsPending, async (req, res) => {
      const mine = await queryAs(deps, req, (trx, { userId }) => findPendingDocuments(trx, userId))
      sendPrivate(res, mine)
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/documents/endorsements/pendingmyaction')
    .get(showsEndorsements, async (req, res) => {
      const mine = await queryAs(deps, req, (trx, { userId }) =>
        findPendingEndorsements(trx, userId),
      )
      sendPrivate(res, mine)
    })
    .all(methodNotAllowed('GET'))

  return router
}

const listQuery = z.object({
  searchTerm,
  kind: orAll(
    z.enum(['concept', 'projectplan', 'progressreport', 'studentreport', 'projectclosure']),
  ),
  status: orAll(z.enum(['new', 'revising', 'inreview', 'inapproval', 'approved'])),
  project: parameter(reference.optional()),
  year: orAll(count),
  page,
  page_size: pageSize(PAGE_SIZE),
})

const listsDocuments = operation({
  summary: 'List a page of the documents of all projects, newest first',
  who: 'users',
  query: listQuery,
  answers: { 200: documentPage },
})

const showsPending = operation({
  summary: 'List the documents that wait for an action of the user',
  who: 'users',
  answers: { 200: pendingDocuments },
})

const showsEndorsements = operation({
  summary: 'List pending animal ethics endorsements; empty for users who cannot give them',
  who: 'users',
  answers: { 200: pendingEndorsements },
})
