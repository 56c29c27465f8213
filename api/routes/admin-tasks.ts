import { Router } from 'express'
import type { Transaction } from 'kysely'
import { z } from 'zod'
import { findOpenTasks, findPendingTasks, findTask } from '../../db/queries/admin-tasks.ts'
import type { Database } from '../../db/schema.ts'
import {
  approveTask,
  declineTask,
  findDeletionRequester,
  insertTask,
  isCovered,
  isRequestedCaretaker,
  isRequester,
  isSuperuser,
  type LockedTask,
  lockTask,
} from '../../db/writes/admin-task.ts'
import { requireSuperuser } from '../../db/writes/superuser.ts'
import { requireSubject } from '../../db/writes/task-subject.ts'
import { transact } from '../../db/writes/transact.ts'
import { lockForMerge, mergeUsers } from '../../db/writes/user-merge.ts'
import { adminTask } from '../../shared/shapes/admin-task.ts'
import type { AppDeps } from '../deps.ts'
import { sendCreated, sendJson, sendPrivate, sendResource } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { requireMatch, tagged } from '../http/tagged.ts'
import { operation } from '../openapi/operation.ts'
import { parse, parseId } from '../parse.ts'
import { alsoNamed, futureInstant, instant, listOf, reference, text } from './field.ts'
import { found } from './found.ts'
import { peek } from './peek.ts'
import { queryAs } from './query-as.ts'
import { written } from './written.ts'

/** Requests to administrators: to delete a project, merge users or set a caretaker. */
export function adminTaskRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  const { db } = deps

  router
    .route('/adminoptions/tasks')
    .get(listsTasks, async (req, res) =>
      sendPrivate(res, await queryAs(deps, req, findPendingTasks)),
    )
    .post(requestsTask, async (req, res) => {
      const { userId } = await deps.requireUser(req)
      const task = await transact(db, async (trx) => {
        const named = peek(namedDeletion, req.body)
        if (named) await findDeletionRequester(trx, named.project, userId)
        const wanted = parse(newTask, req.body)
        const id = await insertTask(trx, wanted, userId)
        return tagged(written(await findTask(trx, id, { userId, isSuperuser: false })))
      })
      sendCreated(req, res, '/adminoptions/tasks/:id', task)
    })
    .all(methodNotAllowed('GET', 'POST'))

  router
    .route('/adminoptions/tasks/pending')
    .get(listsOpenTasks, async (req, res) =>
      sendPrivate(res, await queryAs(deps, req, findOpenTasks)),
    )
    .all(methodNotAllowed('GET'))

  router
    .route('/adminoptions/tasks/:id')
    .get(showsTask, async (req, res) => {
      const id = parseId(req.params.id, 'Task')
      const task = await queryAs(deps, req, (trx, user) => findTask(trx, id, user))
      sendResource(req, res, found(task, 'Task', id))
    })
    .all(methodNotAllowed('GET'))

  for (const { verb, isAllowed, decide } of DECISIONS) {
    router
      .route(`/adminoptions/tasks/:id/${verb}`)
      .post(decisions[verb], async (req, res) => {
        const id = parseId(req.params.id, 'Task')
        const { userId } = await deps.requireUser(req)
        const task = await transact(db, async (trx) => {
          const locked = await lockTask(trx, { id, userId, isAllowed })
          const show = () => findTask(trx, id, { userId, isSuperuser: true })
          await requireMatch(req, show)
          await decide(trx, locked)
          return tagged(written(await show()))
        })
        sendJson(res, 200, task)
      })
      .all(methodNotAllowed('POST'))
  }

  router
    .route('/adminoptions/tasks/:id/respond')
    .post(respondsToTask, async (req, res) => {
      const id = parseId(req.params.id, 'Task')
      const { userId } = await deps.requireUser(req)
      const message = await transact(db, async (trx) => {
        const task = await lockTask(trx, {
          id,
          userId,
          isAllowed: (request) => isRequestedCaretaker(request) || isCovered(request),
        })
        await requireMatch(req, () => findTask(trx, id, { userId, isSuperuser: true }))
        const { action } = parse(response, req.body)
        if (action === 'approve') await approveTask(trx, task)
        else await declineTask(trx, task, 'rejected')
        return `Caretaker request ${action === 'approve' ? 'approved' : 'rejected'} successfully`
      })
      sendJson(res, 200, { message })
    })
    .all(methodNotAllowed('POST'))

  router
    .route('/adminoptions/mergeusers')
    .post(mergesUsers, async (req, res) => {
      const { userId } = await deps.requireUser(req)
      await transact(db, async (trx) => {
        // Checked before the lock, so that only superusers can lock users, and again after it, because
        // the permission may change while the lock waits.
        await requireSuperuser(trx, userId)
        const wanted = parse(directMerge, req.body)
        await lockForMerge(trx, wanted)
        await requireSuperuser(trx, userId)
        await requireSubject(trx, { action: 'mergeuser', ...wanted })
        await mergeUsers(trx, wanted)
      })
      sendJson(res, 200, { message: 'Users merged successfully' })
    })
    .all(methodNotAllowed('POST'))

  return router
}

interface Decision {
  readonly verb: 'approve' | 'reject' | 'cancel'
  readonly isAllowed: (task: LockedTask) => boolean
  readonly decide: (trx: Transaction<Database>, task: LockedTask) => Promise<unknown>
}

const DECISIONS: readonly Decision[] = [
  { verb: 'approve', isAllowed: isSuperuser, decide: approveTask },
  {
    verb: 'reject',
    isAllowed: isSuperuser,
    decide: (trx, task) => declineTask(trx, task, 'rejected'),
  },
  {
    verb: 'cancel',
    isAllowed: isRequester,
    decide: (trx, task) => declineTask(trx, task, 'cancelled'),
  },
]

const response = z.object({ action: z.enum(['approve', 'reject']) })

const common = {
  reason: text().nullable().default(null),
  start_date: instant.nullable().default(null),
  end_date: futureInstant.nullable().default(null),
  notes: text().nullable().default(null),
}

const deletion = z
  .object({
    ...common,
    action: z.literal('deleteproject'),
    project: reference,
    reason: text().min(1),
  })
  .transform(({ action, project, ...rest }) => ({
    ...rest,
    subject: { action, projectId: project },
  }))

/** The part of a body on which the permission to request a deletion depends. */
const namedDeletion = z.object({ action: z.literal('deleteproject'), project: reference })

const MAX_MERGED = 20
const others = listOf(reference, MAX_MERGED).min(1, 'This list may not be empty.')

const merge = z
  .object({
    ...common,
    action: z.literal('mergeuser'),
    primary_user: reference,
    secondary_users: others,
  })
  .transform(({ action, primary_user, secondary_users, ...rest }) => ({
    ...rest,
    subject: {
      action,
      primaryId: primary_user,
      secondaryIds: [...new Set(secondary_users)],
    },
  }))

const caretaker = z
  .object({
    ...common,
    action: z.literal('setcaretaker'),
    primary_user: reference,
    secondary_users: others.max(1, 'There may be one caretaker only.'),
  })
  .transform(({ action, primary_user, secondary_users: [first = ''], ...rest }) => ({
    ...rest,
    subject: { action, coveredId: primary_user, caretakerId: first },
  }))

const directMerge = alsoNamed(
  { primaryUserId: 'primaryUser', secondaryUserIds: 'secondaryUsers' },
  z.object({ primaryUser: reference, secondaryUsers: others }),
).transform(({ primaryUser, secondaryUsers }) => ({
  primaryId: primaryUser,
  secondaryIds: [...new Set(secondaryUsers)],
}))

const newTask = alsoNamed(
  { primaryUserId: 'primary_user', secondaryUserIds: 'secondary_users' },
  z.discriminatedUnion('action', [deletion, merge, caretaker], {
    error: 'This action cannot be requested.',
  }),
)

const message = z.strictObject({ message: z.string() })

const listsTasks = operation({
  summary: 'List pending requests to administrators',
  who: 'users',
  answers: { 200: z.array(adminTask) },
})

const requestsTask = operation({
  summary: 'Request the deletion of a project, a merge of users, or a caretaker',
  who: 'all users; deletions of projects only for their members and superusers',
  body: newTask,
  answers: { 201: adminTask },
})

const listsOpenTasks = operation({
  summary: 'List pending requests to administrators, without expired requests for caretakers',
  who: 'users',
  answers: { 200: z.array(adminTask) },
})

const showsTask = operation({
  summary: 'Get a request to administrators',
  who: 'users',
  answers: { 200: adminTask },
})

const decisions = {
  approve: operation({
    event: 'rights_change',
    summary: 'Approve a request and carry it out',
    who: 'superusers',
    isConditional: true,
    answers: { 200: adminTask },
  }),
  reject: operation({
    summary: 'Reject a request',
    who: 'superusers',
    isConditional: true,
    answers: { 200: adminTask },
  }),
  cancel: operation({
    summary: 'Cancel a request',
    who: 'the requester',
    isConditional: true,
    answers: { 200: adminTask },
  }),
}

const respondsToTask = operation({
  event: 'rights_change',
  summary: 'Approve or reject a request for a caretaker',
  who: 'the covered user and the requested caretaker; the caretaker can only approve requests by the covered user',
  body: response,
  isConditional: true,
  answers: { 200: message },
})

const mergesUsers = operation({
  event: 'rights_change',
  summary: 'Merge users into one',
  who: 'superusers',
  body: directMerge,
  answers: { 200: message },
})
