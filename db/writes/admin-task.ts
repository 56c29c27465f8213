import { type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { type Actor, findActor, requirePermission } from './actor.ts'
import { hasConsent, insertCaretaker } from './caretaker.ts'
import { decideTwice } from './decide-twice.ts'
import { changedAt, type Patch } from './patch.ts'
import { deleteProject } from './project-deletion.ts'
import { requireMember, updateProject } from './project.ts'
import { WriteError } from './write-error.ts'
import {
  columnsOf,
  isWhole,
  lockRequest,
  lockSubject,
  namesUser,
  requireSubject,
  type Subject,
  subjectOf,
} from './task-subject.ts'
import { mergeUsers } from './user-merge.ts'

/** A request as it is first written. */
export interface NewTask {
  readonly subject: Subject
  readonly reason: string | null
  readonly start_date: Date | null
  readonly end_date: Date | null
  readonly notes: string | null
}

/** A request that is locked, with what it is about. */
export interface LockedTask {
  readonly id: string
  readonly action: string
  readonly status: string
  readonly requesterId: string | null
  /** Null when what it was about is gone. */
  readonly subject: Subject | null
  readonly reason: string | null
  readonly end_date: Date | null
  readonly notes: string | null
  /** Who wants to do something about it. */
  readonly actor: Actor
}

/**
 * Finds who requests the deletion of a project: a member of it or a superuser.
 * @throws WriteError `unauthenticated`, or `forbidden`, also where there is no such project.
 */
export async function findDeletionRequester(
  trx: Transaction<Database>,
  projectId: string,
  userId: string,
): Promise<Actor> {
  const actor = await findActor(trx, userId)
  await requireMember(trx, projectId, actor)
  return actor
}

/**
 * Writes a new request of a user, and returns its id.
 * @throws WriteError `unauthenticated`, `forbidden`, `invalid`, or `conflict` where one like it waits
 * already.
 */
export async function insertTask(
  trx: Transaction<Database>,
  { subject, ...task }: NewTask,
  userId: string,
): Promise<string> {
  const requester = await decideTwice(
    () =>
      subject.action === 'deleteproject'
        ? findDeletionRequester(trx, subject.projectId, userId)
        : findActor(trx, userId),
    () => lockRequest(trx, subject),
  )
  await requireSubject(trx, subject)
  await rejectSecondRequest(trx, subject)
  if (subject.action === 'deleteproject') {
    await updateProject(trx, subject.projectId, { deletion_requested: true })
  }
  const { id } = await trx
    .insertInto('adminoptions_admintask')
    .values({
      ...task,
      ...columnsOf(subject),
      status: 'pending',
      requester_id: requester.id,
      created_at: changedAt,
      updated_at: changedAt,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

/** A request that a user wants to decide. */
export interface TaskAccess {
  readonly id: string
  readonly userId: string
  /** Whether the actor has the right to. */
  readonly isAllowed: (task: LockedTask) => boolean
  /** What clients call it. */
  readonly entity?: string
}

/**
 * Locks a request, and what it is about before it, for an actor with the right to decide it.
 * @throws WriteError `unauthenticated`, `forbidden`, or `not_found`, also for a request that does not
 * name an actor who is no superuser.
 */
export async function lockTask(
  trx: Transaction<Database>,
  { id, userId, isAllowed, entity = 'Task' }: TaskAccess,
): Promise<LockedTask> {
  const tasks = trx.selectFrom('adminoptions_admintask').selectAll().where('id', '=', id)
  const find = async (query: typeof tasks): Promise<LockedTask> => {
    const task = await query.executeTakeFirst()
    const actor = await findActor(trx, userId)
    if (!task || !(actor.isSuperuser || namesUser(task, actor.id))) {
      throw new WriteError('not_found', `${entity} ${id} not found`)
    }
    const found = { ...task, requesterId: task.requester_id, subject: subjectOf(task), actor }
    requirePermission(isAllowed(found))
    return found
  }
  const seen = await find(tasks)
  if (seen.subject) await lockSubject(trx, seen.subject)
  const task = await find(tasks.forUpdate())
  const isOther = JSON.stringify(task.subject) !== JSON.stringify(seen.subject)
  if (isOther && task.status === 'pending') {
    throw new WriteError('unavailable', 'Too many edits at once.')
  }
  return task
}

/**
 * Locks a request for a caretaker, for an actor with the right to decide it.
 * @throws WriteError as `lockTask`, and `not_found` for a request of another kind.
 */
export async function lockCaretakerRequest(
  trx: Transaction<Database>,
  { id, isAllowed, ...rest }: Omit<TaskAccess, 'entity'>,
): Promise<LockedTask> {
  const entity = 'Caretaker request'
  return lockTask(trx, {
    ...rest,
    id,
    entity,
    isAllowed(task) {
      if (task.action !== 'setcaretaker')
        throw new WriteError('not_found', `${entity} ${id} not found`)
      return isAllowed(task)
    },
  })
}

/** Whether the actor is a superuser. */
export const isSuperuser = ({ actor }: LockedTask): boolean => actor.isSuperuser

/** Whether it is the actor who is asked to act for somebody. */
export const isRequestedCaretaker = ({ subject, actor }: LockedTask): boolean =>
  subject?.action === 'setcaretaker' && subject.caretakerId === actor.id

/** Whether it is the actor for whom somebody is asked to act. */
export const isCovered = ({ subject, actor }: LockedTask): boolean =>
  subject?.action === 'setcaretaker' && subject.coveredId === actor.id

/** Whether approval by the actor lets the requested caretaker act for the covered user. */
export const isConsented = (task: LockedTask): boolean => {
  if (task.subject?.action !== 'setcaretaker') return task.actor.isSuperuser
  const { coveredId, caretakerId } = task.subject
  return hasConsent({ user_id: coveredId, caretaker_id: caretakerId }, task)
}

/** Whether the actor made the request. */
export const isRequester = ({ requesterId, actor }: LockedTask): boolean => requesterId === actor.id

/** @throws WriteError `conflict` unless a request still waits for a decision. */
function requirePending({ status }: LockedTask): void {
  if (status !== 'pending') throw new WriteError('conflict', `This request is already ${status}.`)
}

/**
 * Does what a locked request asks for: in the same transaction, so that it is done once or not at
 * all.
 * @throws WriteError `conflict` when what it is about is gone or done already.
 */
export async function approveTask(trx: Transaction<Database>, task: LockedTask): Promise<void> {
  const subject = await requireWhole(trx, task)
  switch (subject.action) {
    case 'deleteproject':
      await closeTask(trx, task.id, await recordOf(trx, subject.projectId))
      return deleteProject(trx, subject.projectId)
    case 'mergeuser':
      await closeTask(trx, task.id, { status: 'fulfilled' })
      return mergeUsers(trx, subject)
    case 'setcaretaker':
      await approveCaretaker(trx, task)
  }
}

/** Does what a locked request for a caretaker asks for, and returns the id of who acts for whom. */
export async function approveCaretaker(
  trx: Transaction<Database>,
  task: LockedTask,
): Promise<string> {
  const subject = await requireWhole(trx, task)
  if (subject.action !== 'setcaretaker') throw new Error('this request is for no caretaker')
  await closeTask(trx, task.id, { status: 'fulfilled' })
  const caretaker = {
    user_id: subject.coveredId,
    caretaker_id: subject.caretakerId,
    end_date: task.end_date,
    reason: task.reason,
    notes: task.notes,
  }
  return insertCaretaker(trx, caretaker, task)
}

async function requireWhole(trx: Transaction<Database>, task: LockedTask): Promise<Subject> {
  requirePending(task)
  if (task.subject && (await isWhole(trx, task.subject))) return task.subject
  throw new WriteError('conflict', 'What this request is about no longer exists.')
}

/** Decides against a locked request; a project is then no longer to be deleted. */
export async function declineTask(
  trx: Transaction<Database>,
  task: LockedTask,
  status: 'rejected' | 'cancelled',
): Promise<void> {
  requirePending(task)
  await closeTask(trx, task.id, { status })
  if (task.subject?.action === 'deleteproject') {
    await updateProject(trx, task.subject.projectId, { deletion_requested: false })
  }
}

// The subject is locked, so no other request about it can come in between.
async function rejectSecondRequest(trx: Transaction<Database>, subject: Subject): Promise<void> {
  const { action, project_id, primary_user_id, secondary_users } = columnsOf(subject)
  const pending = trx
    .selectFrom('adminoptions_admintask')
    .select('id')
    .where('status', '=', 'pending')
    .where('action', '=', action)
  const same = {
    deleteproject: pending.where('project_id', '=', project_id),
    setcaretaker: pending.where('primary_user_id', '=', primary_user_id),
    mergeuser: pending
      .where('primary_user_id', '=', primary_user_id)
      .where(
        sql<boolean>`secondary_users @> ${secondary_users}::jsonb and secondary_users <@ ${secondary_users}::jsonb`,
      ),
  }[action]
  if (await same.executeTakeFirst()) throw new WriteError('conflict', PENDING[action])
  if (subject.action !== 'setcaretaker') return
  const caretaker = await trx
    .selectFrom('caretakers_caretaker')
    .select('id')
    .where('user_id', '=', subject.coveredId)
    .where('caretaker_id', '=', subject.caretakerId)
    .executeTakeFirst()
  if (caretaker) throw new WriteError('conflict', 'User already has this caretaker')
}

const PENDING = {
  deleteproject: 'Project already has a pending deletion request',
  mergeuser: 'Users already have a pending merge user request',
  setcaretaker: 'User already has a pending caretaker request',
}

// The request outlives its project, and so says itself what it was about.
async function recordOf(trx: Transaction<Database>, projectId: string): Promise<TaskPatch> {
  const { title } = await trx
    .selectFrom('projects_project')
    .select('title')
    .where('id', '=', projectId)
    .executeTakeFirstOrThrow()
  return {
    status: 'fulfilled',
    project_id: null,
    notes: `Project deletion approved - ${title}`,
  }
}

type TaskPatch = Patch<'adminoptions_admintask', 'status' | 'project_id' | 'notes'>

async function closeTask(trx: Transaction<Database>, id: string, patch: TaskPatch): Promise<void> {
  await trx
    .updateTable('adminoptions_admintask')
    .set({ ...patch, updated_at: changedAt })
    .where('id', '=', id)
    .execute()
}
