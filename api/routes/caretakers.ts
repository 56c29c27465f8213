import { Router } from 'express'
import { z } from 'zod'
import { findTask } from '../../db/queries/admin-tasks.ts'
import {
  findCaretakerRelation,
  findCaretakerRelations,
} from '../../db/queries/caretaker-relations.ts'
import { findActor, requirePermission } from '../../db/writes/actor.ts'
import {
  approveCaretaker,
  declineTask,
  insertTask,
  isConsented,
  isCovered,
  isRequestedCaretaker,
  isRequester,
  isSuperuser,
  lockCaretakerRequest,
} from '../../db/writes/admin-task.ts'
import {
  canConsent,
  deleteCaretaker,
  insertCaretaker,
  lockCaretaker,
  lockParties,
  updateCaretaker,
} from '../../db/writes/caretaker.ts'
import { requireSuperuser } from '../../db/writes/superuser.ts'
import { transact } from '../../db/writes/transact.ts'
import { caretakerRelation } from '../../shared/shapes/caretaker-relation.ts'
import { adminTask } from '../../shared/shapes/admin-task.ts'
import type { AppDeps } from '../deps.ts'
import { sendCreated, sendJson, sendNoContent, sendPrivate, sendResource } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { requireMatch, tagged } from '../http/tagged.ts'
import { operation } from '../openapi/operation.ts'
import { parse, parseId } from '../parse.ts'
import { alsoNamed, futureInstant, instant, reference, text } from './field.ts'
import { found } from './found.ts'
import { peek } from './peek.ts'
import { queryAs } from './query-as.ts'
import { written } from './written.ts'

/** Caretakers of users, and requests for caretakers. */
export function caretakerRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  const { db } = deps

  router
    .route('/caretakers/list')
    .get(listsCaretakers, async (req, res) =>
      sendPrivate(res, await queryAs(deps, req, findCaretakerRelations, 'search')),
    )
    .post(addsCaretaker, async (req, res) => {
      const { userId } = await deps.requireUser(req)
      const caretaker = await transact(db, async (trx) => {
        const named = peek(covered, req.body)
        if (named) requirePermission(canConsent(await findActor(trx, userId), named.user))
        const wanted = parse(newCaretaker, req.body)
        await lockParties(trx, wanted)
        const id = await insertCaretaker(trx, wanted, { actor: await findActor(trx, userId) })
        return tagged(written(await findCaretakerRelation(trx, id, { userId, isSuperuser: true })))
      })
      sendCreated(req, res, '/caretakers/:id', caretaker)
    })
    .all(methodNotAllowed('GET', 'POST'))

  router
    .route('/caretakers/admin-set')
    .post(setsCaretaker, async (req, res) => {
      const { userId } = await deps.requireUser(req)
      const caretaker = await transact(db, async (trx) => {
        await requireSuperuser(trx, userId)
        const wanted = parse(setCaretaker, req.body)
        await lockParties(trx, wanted)
        const actor = await requireSuperuser(trx, userId)
        const id = await insertCaretaker(trx, wanted, { actor })
        return tagged(written(await findCaretakerRelation(trx, id, { userId, isSuperuser: true })))
      })
      sendCreated(req, res, '/caretakers/:id', caretaker)
    })
    .all(methodNotAllowed('POST'))

  router
    .route('/caretakers/requests/create')
    .post(requestsCaretaker, async (req, res) => {
      const { userId } = await deps.requireUser(req)
      const viewer = { userId, isSuperuser: true }
      const { path, json } = await transact(db, async (trx) => {
        if (peek(immediate, req.body)) await requireSuperuser(trx, userId)
        const { approve_immediately, ...wanted } = parse(newRequest, req.body)
        const id = await insertTask(trx, wanted, userId)
        if (!approve_immediately) {
          const task = written(await findTask(trx, id, viewer))
          return {
            path: `/adminoptions/tasks/${id}`,
            json: tagged(`{"task_id":${id},"task":${task}}`, task),
          }
        }
        const request = { id, userId, isAllowed: isSuperuser }
        const caretakerId = await approveCaretaker(trx, await lockCaretakerRequest(trx, request))
        const caretaker = written(await findCaretakerRelation(trx, caretakerId, viewer))
        return {
          path: `/caretakers/${caretakerId}`,
          json: tagged(`{"task_id":${id},"approved":true,"caretaker":${caretaker}}`, caretaker),
        }
      })
      sendCreated(req, res, path, json)
    })
    .all(methodNotAllowed('POST'))

  router
    .route('/caretakers/requests/:id/approve')
    .post(approvesRequest, async (req, res) => {
      const id = parseId(req.params.id, 'Caretaker request')
      const { userId } = await deps.requireUser(req)
      const answer = await transact(db, async (trx) => {
        const request = { id, userId, isAllowed: isConsented }
        const caretakerId = await approveCaretaker(trx, await lockCaretakerRequest(trx, request))
        const viewer = { userId, isSuperuser: true }
        const caretaker = written(await findCaretakerRelation(trx, caretakerId, viewer))
        return `{"message":"Caretaker request approved successfully","caretaker":${caretaker}}`
      })
      sendJson(res, 200, answer)
    })
    .all(methodNotAllowed('POST'))

  for (const { verb, status, alsoAllowed } of [
    { verb: 'reject', status: 'rejected', alsoAllowed: [isRequestedCaretaker, isCovered] },
    { verb: 'cancel', status: 'cancelled', alsoAllowed: [isRequester] },
  ] as const) {
    router
      .route(`/caretakers/requests/:id/${verb}`)
      .post(declines[verb], async (req, res) => {
        const id = parseId(req.params.id, 'Caretaker request')
        const { userId } = await deps.requireUser(req)
        await transact(db, async (trx) => {
          const task = await lockCaretakerRequest(trx, {
            id,
            userId,
            isAllowed: (request) => [isSuperuser, ...alsoAllowed].some((allows) => allows(request)),
          })
          await declineTask(trx, task, status)
        })
        sendJson(res, 200, { message: `Caretaker request ${status} successfully` })
      })
      .all(methodNotAllowed('POST'))
  }

  router
    .route('/caretakers/:id')
    .get(showsCaretaker, async (req, res) => {
      const id = parseId(req.params.id, 'Caretaker')
      const relation = await queryAs(deps, req, (trx, user) => findCaretakerRelation(trx, id, user))
      sendResource(req, res, found(relation, 'Caretaker', id))
    })
    .put(changesCaretaker, async (req, res) => {
      const id = parseId(req.params.id, 'Caretaker')
      const { userId } = await deps.requireUser(req)
      const relation = await transact(db, async (trx) => {
        const locked = await lockCaretaker(trx, id, userId)
        const show = () => findCaretakerRelation(trx, id, { userId, isSuperuser: true })
        await requireMatch(req, show)
        await updateCaretaker(trx, locked, parse(caretakerPatch, req.body))
        return tagged(written(await show()))
      })
      sendJson(res, 200, relation)
    })
    .delete(deletesCaretaker, async (req, res) => {
      const id = parseId(req.params.id, 'Caretaker')
      const { userId } = await deps.requireUser(req)
      await transact(db, async (trx) => {
        await lockCaretaker(trx, id, userId)
        await requireMatch(req, () => findCaretakerRelation(trx, id, { userId, isSuperuser: true }))
        await deleteCaretaker(trx, id)
      })
      sendNoContent(res)
    })
    .all(methodNotAllowed('GET', 'PUT', 'DELETE'))

  return router
}

const caretakerPatch = z
  .object({ end_date: instant.nullable(), reason: text().nullable(), notes: text().nullable() })
  .partial()

const details = {
  end_date: futureInstant.nullable().default(null),
  reason: text().nullable().default(null),
  notes: text().nullable().default(null),
}

const newCaretaker = z
  .object({ user: reference, caretaker: reference, ...details })
  .transform(({ user, caretaker, ...rest }) => ({
    ...rest,
    user_id: user,
    caretaker_id: caretaker,
  }))

/**
 * The parts of a body on which the permission depends to add a caretaker, and to approve a request
 * at once.
 */
const covered = z.object({ user: reference })
const immediate = z.object({ approve_immediately: z.literal(true) })

const setCaretaker = alsoNamed(
  { userPk: 'user_id', caretakerPk: 'caretaker_id', endDate: 'end_date' },
  z.object({
    user_id: reference,
    caretaker_id: reference,
    ...details,
    reason: text().min(1),
  }),
)

const newRequest = z
  .object({
    user_id: reference,
    caretaker_id: reference,
    ...details,
    approve_immediately: z.boolean().default(false),
  })
  .transform(({ user_id, caretaker_id, ...rest }) => ({
    ...rest,
    start_date: null,
    subject: { action: 'setcaretaker' as const, coveredId: user_id, caretakerId: caretaker_id },
  }))

const pendingRequest = z.strictObject({ task_id: z.int(), task: adminTask })
const approvedRequest = z.strictObject({
  task_id: z.int(),
  approved: z.literal(true),
  caretaker: caretakerRelation,
})

const listsCaretakers = operation({
  summary: 'List all caretakers',
  who: 'users',
  answers: { 200: z.array(caretakerRelation) },
})

const addsCaretaker = operation({
  event: 'rights_change',
  summary: 'Make a user the caretaker of another',
  who: 'the covered user and superusers',
  body: newCaretaker,
  answers: { 201: caretakerRelation },
})

const setsCaretaker = operation({
  event: 'rights_change',
  summary: 'Make a user the caretaker of another, with a reason',
  who: 'superusers',
  body: setCaretaker,
  answers: { 201: caretakerRelation },
})

const requestsCaretaker = operation({
  summary: 'Request a caretaker for a user',
  who: 'users',
  body: newRequest,
  answers: { 201: z.union([pendingRequest, approvedRequest]) },
})

const approvesRequest = operation({
  event: 'rights_change',
  summary: 'Approve a request for a caretaker',
  who: 'the covered user, the requested caretaker of a request by the covered user, and superusers',
  answers: { 200: z.strictObject({ message: z.string(), caretaker: caretakerRelation }) },
})

const declines = {
  reject: operation({
    summary: 'Reject a request for a caretaker',
    who: 'the covered user, the requested caretaker, and superusers',
    answers: { 200: z.strictObject({ message: z.string() }) },
  }),
  cancel: operation({
    summary: 'Cancel a request for a caretaker',
    who: 'the requester and superusers',
    answers: { 200: z.strictObject({ message: z.string() }) },
  }),
}

const showsCaretaker = operation({
  summary: 'Get a caretaker',
  who: 'users',
  answers: { 200: caretakerRelation },
})

const changesCaretaker = operation({
  event: 'rights_change',
  summary: 'Change the end and the reason of a caretaker; the caretaker cannot extend the time',
  who: 'the caretaker, the covered user, and superusers',
  body: caretakerPatch,
  answers: { 200: caretakerRelation },
})

const deletesCaretaker = operation({
  event: 'rights_change',
  summary: 'Delete a caretaker',
  who: 'the caretaker, the covered user, and superusers',
  answers: { 204: null },
})
