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
  type LockedTask,
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
import { adminTask } from '../../shared/shapes/admin-task.ts'
import { caretakerRelation } from '../../shared/shapes/caretaker-relation.ts'
import {
  create,
  type AllowedUsers,
  type Endpoint,
  EVERY_ROLE,
  get,
  idOf,
  item,
  post,
  ruleById,
  superuser,
  type Trx,
  user,
  type WriteRequest,
  writeRule,
} from '../endpoints/index.ts'
import { alsoNamed, reference, text } from './field.ts'
import { peek } from './peek.ts'
import type { TimeFields } from './time-field.ts'

/**
 * The parts of a body on which the permission depends to add a caretaker, and to approve a request
 * at once.
 */
const covered = z.object({ user: reference })
const immediate = z.object({ approve_immediately: z.literal(true) })

/** Creates the schemas of the bodies. */
function createBodies({ endDate, lastDay }: TimeFields) {
  const caretakerPatch = z
    .object({ end_date: lastDay.nullable(), reason: text().nullable(), notes: text().nullable() })
    .partial()

  const details = {
    end_date: endDate.nullable().default(null),
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

  return { caretakerPatch, newCaretaker, setCaretaker, newRequest }
}

const pendingRequest = z.strictObject({ task_id: z.int(), task: adminTask })
const approvedRequest = z.strictObject({
  task_id: z.int(),
  approved: z.literal(true),
  caretaker: caretakerRelation,
})

interface ByUser {
  readonly userId: string
}

/** Reads a relation for a user whose right to write it has been checked. */
const shown = (trx: Trx, id: string, { userId }: ByUser) =>
  findCaretakerRelation(trx, id, { userId, isSuperuser: true })

/** Access for users with the right to decide the request whose id is in the path. Locks the request. */
const decider = (allowed: AllowedUsers, isAllowed: (request: LockedTask) => boolean) =>
  ruleById(allowed, (trx, id, userId) => lockCaretakerRequest(trx, { id, userId, isAllowed }))

const params = { id: idOf('Caretaker request') }

/** Caretakers of users, and requests for caretakers. */
export function caretakerEndpoints(times: TimeFields): readonly Endpoint[] {
  const { caretakerPatch, newCaretaker, setCaretaker, newRequest } = createBodies(times)
  return [
    get('/caretakers/list', {
      summary: 'List all caretakers',
      access: user,
      answers: { 200: z.array(caretakerRelation) },
      cost: 'list',
      read: (trx, _, { user }) => findCaretakerRelations(trx, user),
    }),
    create('/caretakers/list', {
      summary: 'Make a user the caretaker of another',
      access: writeRule({
        description: 'the covered user and superusers',
        roles: ['covered', 'superuser'],
        async enforce(trx, { userId, sent }: WriteRequest<unknown>) {
          const actor = await findActor(trx, userId)
          const named = peek(covered, sent)
          if (named) requirePermission(canConsent(actor, named.user))
          return actor
        },
      }),
      event: 'rights_change',
      body: newCaretaker,
      answers: { 201: caretakerRelation },
      lock: (trx, _, { body }) => lockParties(trx, body),
      insert: (trx, _, { body, granted: actor }) => insertCaretaker(trx, body, { actor }),
      location: (id) => `/caretakers/${id}`,
      shown,
    }),
    create('/caretakers/admin-set', {
      summary: 'Make a user the caretaker of another, with a reason',
      access: superuser,
      event: 'rights_change',
      body: setCaretaker,
      answers: { 201: caretakerRelation },
      lock: (trx, _, { body }) => lockParties(trx, body),
      insert: (trx, _, { body, granted: actor }) => insertCaretaker(trx, body, { actor }),
      location: (id) => `/caretakers/${id}`,
      shown,
    }),
    create('/caretakers/requests/create', {
      summary: 'Request a caretaker for a user',
      access: writeRule({
        description: 'all users; immediate approval only for superusers',
        roles: EVERY_ROLE,
        async enforce(trx, { userId, sent }: WriteRequest<unknown>) {
          if (peek(immediate, sent)) await requireSuperuser(trx, userId)
        },
      }),
      body: newRequest,
      answers: { 201: z.union([pendingRequest, approvedRequest]) },
      async insert(trx, _, { body: { approve_immediately, ...request }, userId }) {
        const taskId = await insertTask(trx, request, userId)
        if (!approve_immediately) return { taskId, caretakerId: null }
        const access = { id: taskId, userId, isAllowed: isSuperuser }
        const task = await lockCaretakerRequest(trx, access)
        return { taskId, caretakerId: await approveCaretaker(trx, task) }
      },
      location: ({ taskId, caretakerId }) =>
        caretakerId === null ? `/adminoptions/tasks/${taskId}` : `/caretakers/${caretakerId}`,
      shown: (trx, { taskId, caretakerId }, by) =>
        caretakerId === null
          ? findTask(trx, taskId, { userId: by.userId, isSuperuser: true })
          : shown(trx, caretakerId, by),
      answer: async (_trx, { taskId, caretakerId }, created) =>
        caretakerId === null
          ? `{"task_id":${taskId},"task":${created}}`
          : `{"task_id":${taskId},"approved":true,"caretaker":${created}}`,
    }),
    post('/caretakers/requests/:id/approve', {
      summary: 'Approve a request for a caretaker',
      access: decider(
        {
          description:
            'the covered user, the requested caretaker of a request by the covered user, and superusers',
          roles: ['covered', 'caretaker', 'superuser'],
        },
        isConsented,
      ),
      event: 'rights_change',
      params,
      answers: { 200: z.strictObject({ message: z.string(), caretaker: caretakerRelation }) },
      async write(trx, _, { granted, userId }) {
        const id = await approveCaretaker(trx, granted)
        const caretaker = await shown(trx, id, { userId })
        return `{"message":"Caretaker request approved successfully","caretaker":${caretaker}}`
      },
    }),
    post('/caretakers/requests/:id/reject', {
      summary: 'Reject a request for a caretaker',
      access: decider(
        {
          description: 'the covered user, the requested caretaker, and superusers',
          roles: ['covered', 'caretaker', 'superuser'],
        },
        (request) => isSuperuser(request) || isRequestedCaretaker(request) || isCovered(request),
      ),
      params,
      answers: { 200: z.strictObject({ message: z.string() }) },
      async write(trx, _, { granted }) {
        await declineTask(trx, granted, 'rejected')
        return { message: 'Caretaker request rejected successfully' }
      },
    }),
    post('/caretakers/requests/:id/cancel', {
      summary: 'Cancel a request for a caretaker',
      access: decider(
        { description: 'the requester and superusers', roles: ['requester', 'superuser'] },
        (request) => isSuperuser(request) || isRequester(request),
      ),
      params,
      answers: { 200: z.strictObject({ message: z.string() }) },
      async write(trx, _, { granted }) {
        await declineTask(trx, granted, 'cancelled')
        return { message: 'Caretaker request cancelled successfully' }
      },
    }),
    ...item('/caretakers/:id', {
      entity: 'Caretaker',
      summaries: {
        get: 'Get a caretaker',
        put: 'Change the end and the reason of a caretaker; the caretaker cannot extend the time',
        delete: 'Delete a caretaker',
      },
      access: ruleById(
        {
          description: 'the caretaker, the covered user, and superusers',
          roles: ['caretaker', 'covered', 'superuser'],
        },
        lockCaretaker,
      ),
      event: 'rights_change',
      shape: caretakerRelation,
      find: findCaretakerRelation,
      body: caretakerPatch,
      update(trx, _id, patch, locked) {
        // Others may store any time of the last day. To send that day again extends nothing.
        const end = locked.end_date
        const end_date = end instanceof Date ? times.endOfDay(end) : end
        return updateCaretaker(trx, { ...locked, end_date }, patch)
      },
      remove: deleteCaretaker,
    }),
  ]
}
