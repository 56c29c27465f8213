import { type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { type Actor, findActor, requirePermission } from './actor.ts'
import { hasConsent, insertCaretaker } from './caretaker.ts'
import { decideTwice } from './decide-twice.ts'
import { insertRow } from './insert-row.ts'
import type { Patch } from './patch.ts'
import { deleteProject } from './project-deletion.ts'
import { requireMember, updateProject } from './project.ts'
import { updateRow } from './update-row.ts'
import { WriteError } from './write-error.ts'
import {
  columnsOf,
  lockRequest,
  lockSubject,
  namesUser,
  requireSubject,
  type Subject,
  subjectExists,
  subjectOf,
} from './task-subject.ts'
import { mergeUsers } from './user-merge.ts'

const TABLE = 'adminoptions_admintask'

/** An admin task to be inserted. */
export interface NewTask {
  readonly subject: Subject
  readonly reason: string | null
  readonly start_date: Date | null
  readonly end_date: Date | null
  readonly notes: string | null
}

/** A locked admin task with its subject. */
export interface LockedTask {
  readonly id: string
  readonly action: string
  readonly status: string
  readonly requesterId: string | null
  /** Null if its project or users were deleted. */
  readonly subject: Subject | null
  readonly reason: string | null
  readonly end_date: Date | null
  readonly notes: string | null
  /** The user who requests the write. */
  readonly actor: Actor
}

/**
 * Returns the actor who requests the deletion of a project, who must be a member or a superuser.
 * @throws WriteError `unauthenticated`, or `forbidden`, also if the project does not exist.
 */
export async function requireDeletionRequester(
  trx: Transaction<Database>,
  projectId: string,
  userId: string,
): Promise<Actor> {
  const actor = await findActor(trx, userId)
  await requireMember(trx, projectId, actor)
  return actor
}

/**
 * Inserts an admin task and returns its id.
 * @throws WriteError `unauthenticated`, `forbidden`, `invalid`, or `conflict` if an equal task is
 * pending.
 */
export async function insertTask(
  trx: Transaction<Database>,
  { subject, ...task }: NewTask,
  userId: string,
): Promise<string> {
  const requester = await decideTwice(
    () =>
      subject.action === 'deleteproject'
        ? requireDeletionRequester(trx, subject.projectId, userId)
        : findActor(trx, userId),
    () => lockRequest(trx, subject),
  )
  await requireSubject(trx, subject)
  await rejectSecondRequest(trx, subject)
  if (subject.action === 'deleteproject') {
    await updateProject(trx, subject.projectId, { deletion_requested: true })
  }
  return insertRow(trx, TABLE, {
    ...task,
    ...columnsOf(subject),
    status: 'pending',
    requester_id: requester.id,
  })
}

/** An admin task and the user who wants to decide it. */
export interface TaskAccess {
  readonly id: string
  readonly userId: string
  /** Whether the actor has the right to decide the task. */
  readonly isAllowed: (task: LockedTask) => boolean
  /** Name of the entity in error messages. */
  readonly entity?: string
}

/**
 * Locks the subject of an admin task and then the task, for an actor with the right to decide it.
 * @throws WriteError `unauthenticated`, `forbidden`, or `not_found`. The last also applies if the task
 * does not name the actor and the actor is not a superuser.
 */
export async function lockTask(
  trx: Transaction<Database>,
  { id, userId, isAllowed, entity = 'Task' }: TaskAccess,
): Promise<LockedTask> {
  const tasks = trx.selectFrom(TABLE).selectAll().where('id', '=', id)
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
  const hasOtherSubject = JSON.stringify(task.subject) !== JSON.stringify(seen.subject)
  if (hasOtherSubject && task.status === 'pending') {
    throw new WriteError('unavailable', 'Too many edits at once.')
  }
  return task
}

/**
 * Locks a caretaker request, for an actor with the right to decide it.
 * @throws WriteError like `lockTask`, and `not_found` if the task is of another kind.
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

/** Whether the actor is the requested caretaker. */
export const isRequestedCaretaker = ({ subject, actor }: LockedTask): boolean =>
  subject?.action === 'setcaretaker' && subject.caretakerId === actor.id

/** Whether the actor is the user to be covered. */
export const isCovered = ({ subject, actor }: LockedTask): boolean =>
  subject?.action === 'setcaretaker' && subject.coveredId === actor.id

/** Whether approval by the actor lets the requested caretaker act for the covered user. */
export const isConsented = (task: LockedTask): boolean => {
  if (task.subject?.action !== 'setcaretaker') return task.actor.isSuperuser
  const { coveredId, caretakerId } = task.subject
  return hasConsent({ user_id: coveredId, caretaker_id: caretakerId }, task)
}

/** Whether the actor is the requester. */
export const isRequester = ({ requesterId, actor }: LockedTask): boolean => requesterId === actor.id

/** @throws WriteError `conflict` unless the task is pending. */
function requirePending({ status }: LockedTask): void {
  if (status !== 'pending') throw new WriteError('conflict', `This request is already ${status}.`)
}

/**
 * Approves a locked admin task and executes it in the same transaction, so that it is executed at most
 * once.
 * @throws WriteError `conflict` if its subject was deleted or the task is not pending.
 */
export async function approveTask(trx: Transaction<Database>, task: LockedTask): Promise<void> {
  const subject = await requireExecutable(trx, task)
  switch (subject.action) {
    case 'deleteproject':
      await updateRow(trx, TABLE, task.id, await recordOf(trx, subject.projectId))
      return deleteProject(trx, subject.projectId)
    case 'mergeuser':
      await updateRow(trx, TABLE, task.id, { status: 'fulfilled' })
      return mergeUsers(trx, subject)
    case 'setcaretaker':
      await approveCaretaker(trx, task)
  }
}

/** Approves a locked caretaker request, and returns the id of the new caretaker relation. */
export async function approveCaretaker(
  trx: Transaction<Database>,
  task: LockedTask,
): Promise<string> {
  const subject = await requireExecutable(trx, task)
  if (subject.action !== 'setcaretaker') throw new Error('the task is not a caretaker request')
  await updateRow(trx, TABLE, task.id, { status: 'fulfilled' })
  const caretaker = {
    user_id: subject.coveredId,
    caretaker_id: subject.caretakerId,
    end_date: task.end_date,
    reason: task.reason,
    notes: task.notes,
  }
  return insertCaretaker(trx, caretaker, task)
}

async function requireExecutable(trx: Transaction<Database>, task: LockedTask): Promise<Subject> {
  requirePending(task)
  if (task.subject && (await subjectExists(trx, task.subject))) return task.subject
  throw new WriteError('conflict', 'The subject of this request no longer exists.')
}

/** Declines a locked admin task; clears `deletion_requested` of its project. */
export async function declineTask(
  trx: Transaction<Database>,
  task: LockedTask,
  status: 'rejected' | 'cancelled',
): Promise<void> {
  requirePending(task)
  await updateRow(trx, TABLE, task.id, { status })
  if (task.subject?.action === 'deleteproject') {
    await updateProject(trx, task.subject.projectId, { deletion_requested: false })
  }
}

// The subject is locked, so no concurrent transaction can insert a task about it.
async function rejectSecondRequest(trx: Transaction<Database>, subject: Subject): Promise<void> {
  const { action, project_id, primary_user_id, secondary_users } = columnsOf(subject)
  const pending = trx
    .selectFrom(TABLE)
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

// The task is kept after its project is deleted, so it stores the project's title.
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

type TaskPatch = Patch<typeof TABLE, 'status' | 'project_id' | 'notes'>
