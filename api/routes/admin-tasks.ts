import { z } from 'zod'
import { findFilesOfProject, findFilesOfUsers } from '../../db/queries/owned-files.ts'
import { findTask, findUnexpiredPendingTasks } from '../../db/queries/admin-tasks.ts'
import {
  approveTask,
  declineTask,
  insertTask,
  isCovered,
  isRequestedCaretaker,
  isRequester,
  isSuperuser,
  type LockedTask,
  lockTask,
  requireDeletionRequester,
} from '../../db/writes/admin-task.ts'
import { requireSubject } from '../../db/writes/task-subject.ts'
import { lockForMerge, mergeUsers } from '../../db/writes/user-merge.ts'
import { userTasks } from '../../shared/resources/index.ts'
import { adminTask } from '../../shared/shapes/admin-task.ts'
import {
  type AllowedUsers,
  create,
  type Endpoint,
  EVERY_ROLE,
  get,
  getCached,
  type Id,
  idOf,
  post,
  ruleById,
  superuser,
  type Trx,
  user,
  type WriteRequest,
  writeRule,
} from '../endpoints/index.ts'
import { alsoNamed, listOf, reference, text } from './field.ts'
import { peek } from './peek.ts'
import type { TimeFields } from './time-field.ts'

const decision = z.object({ action: z.enum(['approve', 'reject']) })

/** The part of a body on which the permission to request a deletion depends. */
const namedDeletion = z.object({ action: z.literal('deleteproject'), project: reference })

const MAX_MERGED = 20
const others = listOf(reference, MAX_MERGED).min(1, 'This list may not be empty.')

/** Creates the schema of a request. */
function createNewTask({ instant, endDate }: TimeFields) {
  const common = {
    reason: text().nullable().default(null),
    start_date: instant.nullable().default(null),
    end_date: endDate.nullable().default(null),
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

  return alsoNamed(
    { primaryUserId: 'primary_user', secondaryUserIds: 'secondary_users' },
    z.discriminatedUnion('action', [deletion, merge, caretaker], {
      error: 'This action cannot be requested.',
    }),
  )
}

const directMerge = alsoNamed(
  { primaryUserId: 'primaryUser', secondaryUserIds: 'secondaryUsers' },
  z.object({ primaryUser: reference, secondaryUsers: others }),
).transform(({ primaryUser, secondaryUsers }) => ({
  primaryId: primaryUser,
  secondaryIds: [...new Set(secondaryUsers)],
}))

const message = z.strictObject({ message: z.string() })

const params = { id: idOf('Task') }

/** Access for users with the right to decide the task whose id is in the path. Locks the task. */
const decider = (allowed: AllowedUsers, isAllowed: (task: LockedTask) => boolean) =>
  ruleById(allowed, (trx, id, userId) => lockTask(trx, { id, userId, isAllowed }))

const superuserDecides = decider({ description: 'superusers', roles: ['superuser'] }, isSuperuser)

const requesterDecides = decider(
  { description: 'the requester', roles: ['requester'] },
  isRequester,
)

const partiesDecide = decider(
  {
    description:
      'the covered user and the requested caretaker; the caretaker can only approve requests by the covered user',
    roles: ['covered', 'caretaker'],
  },
  (task) => isRequestedCaretaker(task) || isCovered(task),
)

/** Reads a task for a user whose right to decide it has been checked. */
const shown = (trx: Trx, { id }: Id, { userId }: { readonly userId: string }) =>
  findTask(trx, id, { userId, isSuperuser: true })

/** Requests to administrators: to delete a project, merge users or set a caretaker. */
export const adminTaskEndpoints = (times: TimeFields): readonly Endpoint[] => [
  getCached('/adminoptions/tasks', {
    summary: 'List pending requests to administrators',
    access: user,
    answers: { 200: z.array(adminTask) },
    resource: userTasks,
    key: (_, userId) => ({ user_id: userId }),
    variant: 'requests',
  }),
  create('/adminoptions/tasks', {
    summary: 'Request the deletion of a project, a merge of users, or a caretaker',
    access: writeRule({
      description: 'all users; deletions of projects only for their members and superusers',
      roles: EVERY_ROLE,
      async enforce(trx, { userId, sent }: WriteRequest<unknown>) {
        const named = peek(namedDeletion, sent)
        if (named) await requireDeletionRequester(trx, named.project, userId)
      },
    }),
    body: createNewTask(times),
    answers: { 201: adminTask },
    insert: (trx, _, { body, userId }) => insertTask(trx, body, userId),
    location: (id) => `/adminoptions/tasks/${id}`,
    shown: (trx, id, { userId }) => findTask(trx, id, { userId, isSuperuser: false }),
  }),
  get('/adminoptions/tasks/pending', {
    summary: 'List pending requests to administrators, without expired requests for caretakers',
    access: user,
    answers: { 200: z.array(adminTask) },
    read: (trx, _, { user }) => findUnexpiredPendingTasks(trx, user),
  }),
  get('/adminoptions/tasks/:id', {
    summary: 'Get a request to administrators',
    access: user,
    params,
    answers: { 200: adminTask },
    etag: true,
    read: (trx, { id }, { user }) => findTask(trx, id, user),
  }),
  post('/adminoptions/tasks/:id/approve', {
    summary: 'Approve a request and carry it out',
    access: superuserDecides,
    event: 'rights_change',
    params,
    answers: { 200: adminTask },
    shown,
    async write(trx, _, { granted, files }) {
      files.discard(await findFilesOf(trx, granted))
      await approveTask(trx, granted)
    },
  }),
  post('/adminoptions/tasks/:id/reject', {
    summary: 'Reject a request',
    access: superuserDecides,
    params,
    answers: { 200: adminTask },
    shown,
    write: (trx, _, { granted }) => declineTask(trx, granted, 'rejected'),
  }),
  post('/adminoptions/tasks/:id/cancel', {
    summary: 'Cancel a request',
    access: requesterDecides,
    params,
    answers: { 200: adminTask },
    shown,
    write: (trx, _, { granted }) => declineTask(trx, granted, 'cancelled'),
  }),
  post('/adminoptions/tasks/:id/respond', {
    summary: 'Approve or reject a request for a caretaker',
    access: partiesDecide,
    event: 'rights_change',
    params,
    body: decision,
    answers: { 200: message },
    shown,
    async write(trx, _, { body, granted }) {
      if (body.action === 'approve') await approveTask(trx, granted)
      else await declineTask(trx, granted, 'rejected')
      const done = body.action === 'approve' ? 'approved' : 'rejected'
      return { message: `Caretaker request ${done} successfully` }
    },
  }),
  post('/adminoptions/mergeusers', {
    summary: 'Merge users into one',
    access: superuser,
    event: 'rights_change',
    body: directMerge,
    answers: { 200: message },
    lock: (trx, _, { body }) => lockForMerge(trx, body),
    async write(trx, _, { body, files }) {
      await requireSubject(trx, { action: 'mergeuser', ...body })
      files.discard(await findFilesOfUsers(trx, body.secondaryIds))
      await mergeUsers(trx, body)
      return { message: 'Users merged successfully' }
    },
  }),
]

/** Returns the paths of the files of what the approval of a task deletes. */
async function findFilesOf(trx: Trx, { subject }: LockedTask): Promise<readonly string[]> {
  if (subject?.action === 'deleteproject') return findFilesOfProject(trx, subject.projectId)
  return subject?.action === 'mergeuser' ? findFilesOfUsers(trx, subject.secondaryIds) : []
}
