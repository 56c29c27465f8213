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

/** How users stand with their caretakers. Before `caretakerRoutes`, whose ids take any word. */
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
        // What waits for somebody is theirs to know; others are told as if there were nobody.
        if (!isSuperuser && userId !== id) throw notFound('User', id)
        return findCaretakerDocuments(trx, id)
      })
      sendPrivate(res, documents)
    })
    .all(methodNotAllowed('GET'))

  return router

  /** The requests of one user, of which the one who asks is shown those that they may read. */
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
  summary: 'Who acts for whoever asks, and what is asked of them or by them',
  who: 'users',
  answers: { 200: caretakerCheck },
})

const listsRequests = operation({
  summary: 'The pending requests that a user act for another, as far as one may read them',
  who: 'users',
  query: requestQuery,
  answers: { 200: z.array(adminTask) },
})

const listsOutgoing = operation({
  summary: 'The pending requests that a user made for a caretaker, as far as one may read them',
  who: 'users',
  query: requestQuery,
  answers: { 200: z.array(adminTask) },
})

const showsDocuments = operation({
  summary: 'The documents that wait for those for whom a user acts',
  who: 'the user and superusers',
  answers: { 200: caretakerDocuments },
})
