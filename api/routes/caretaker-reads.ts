import { type RequestHandler, Router } from 'express'
import type { Transaction } from 'kysely'
import { z } from 'zod'
import {
  findCaretakerRequests,
  findOutgoingCaretakerRequests,
} from '../../db/queries/admin-tasks.ts'
import { findCaretakerCheck } from '../../db/queries/caretaker-relations.ts'
import type { Viewer } from '../../db/queries/fragments/viewer.ts'
import { findCaretakerDocuments } from '../../db/queries/pending-documents.ts'
import type { Database } from '../../db/schema.ts'
import { notFound, PublicError } from '../../shared/errors.ts'
import { adminTask } from '../../shared/shapes/admin-task.ts'
import { caretakerCheck } from '../../shared/shapes/caretaker-relation.ts'
import { caretakerDocuments } from '../../shared/shapes/pending-documents.ts'
import type { AppDeps } from '../deps.ts'
import { sendPrivate } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { operation } from '../openapi/operation.ts'
import { parse, parseId } from '../parse.ts'
import { reference } from './field.ts'
import { parameter } from './parameter.ts'
import { queryAs } from './query-as.ts'

/**
 * Reads of caretakers and requests for them. Mount it before `caretakerRoutes`, whose `:id` matches
 * any word.
 */
export function caretakerReadRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })

  router
    .route('/caretakers/check')
    .get(showsCheck, async (req, res) =>
      sendPrivate(res, await queryAs(deps, req, findCaretakerCheck)),
    )
    .all(methodNotAllowed('GET'))

  router
    .route('/caretakers/requests')
    .get(listsRequests, requests(findCaretakerRequests))
    .all(methodNotAllowed('GET'))

  router
    .route('/caretakers/requests/outgoing')
    .get(listsOutgoing, requests(findOutgoingCaretakerRequests))
    .all(methodNotAllowed('GET'))

  router
    .route('/caretakers/tasks/:id')
    .get(showsDocuments, async (req, res) => {
      const id = parseId(req.params.id, 'User')
      const documents = await queryAs(deps, req, async (trx, { userId, isSuperuser }) => {
        // 404 instead of 403: the response must not reveal whether the user exists.
        if (!isSuperuser && userId !== id) throw notFound('User', id)
        return findCaretakerDocuments(trx, id)
      })
      sendPrivate(res, documents)
    })
    .all(methodNotAllowed('GET'))

  return router

  /** Creates a handler that lists the requests of a user, as far as the viewer may read them. */
  function requests(
    find: (trx: Transaction<Database>, userId: string, viewer: Viewer) => Promise<string>,
  ): RequestHandler {
    return async (req, res) => {
      const tasks = await queryAs(deps, req, async (trx, user) => {
        const { user_id } = parse(requestQuery, req.query)
        if (user_id === undefined) {
          throw new PublicError('invalid', NO_USER, { fields: { error: NO_USER } })
        }
        return find(trx, user_id, user)
      })
      sendPrivate(res, tasks)
    }
  }
}

const requestQuery = z.object({ user_id: parameter(reference.optional()) })
const NO_USER = 'user_id query parameter is required'

const showsCheck = operation({
  summary: 'Get the caretaker of the user, and pending requests for and by the user',
  who: 'users',
  answers: { 200: caretakerCheck },
})

const listsRequests = operation({
  summary:
    'List the pending requests that a user become a caretaker, as far as the viewer may read them',
  who: 'users',
  query: requestQuery,
  answers: { 200: z.array(adminTask) },
})

const listsOutgoing = operation({
  summary:
    'List the pending requests by a user for a caretaker, as far as the viewer may read them',
  who: 'users',
  query: requestQuery,
  answers: { 200: z.array(adminTask) },
})

const showsDocuments = operation({
  summary: 'List the pending documents of the users for whom a user is caretaker',
  who: 'the user and superusers',
  answers: { 200: caretakerDocuments },
})
