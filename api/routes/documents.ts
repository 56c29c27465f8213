import { z } from 'zod'
import { findDocumentPage } from '../../db/queries/document-list.ts'
import { userTasks } from '../../shared/resources/index.ts'
import { pendingDocuments, pendingEndorsements } from '../../shared/shapes/pending-documents.ts'
import { documentPage } from '../../shared/shapes/search.ts'
import { type Endpoint, get, getCached, user } from '../endpoints/index.ts'
import { reference } from './field.ts'
import { count, orAll, page, pageSize, parameter, searchTerm } from './parameter.ts'

const PAGE_SIZE = 24

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

/** Documents of projects, and documents that wait for an action of the user. */
export const documentEndpoints: readonly Endpoint[] = [
  get('/documents/projectdocuments', {
    summary: 'List a page of the documents of all projects, newest first',
    access: user,
    query: listQuery,
    answers: { 200: documentPage },
    cost: 'search',
    async read(trx, _, { query: { page, page_size: pageSize, ...filter } }) {
      return (await findDocumentPage(trx, filter, { page, pageSize })).body
    },
  }),
  getCached('/documents/projectdocuments/pendingmyaction', {
    summary: 'List the documents that wait for an action of the user',
    access: user,
    answers: { 200: pendingDocuments },
    resource: userTasks,
    key: (_, userId) => ({ user_id: userId }),
    variant: 'documents',
  }),
  getCached('/documents/endorsements/pendingmyaction', {
    summary: 'List pending animal ethics endorsements; empty for users who cannot give them',
    access: user,
    answers: { 200: pendingEndorsements },
    resource: userTasks,
    key: (_, userId) => ({ user_id: userId }),
    variant: 'endorsements',
  }),
]
