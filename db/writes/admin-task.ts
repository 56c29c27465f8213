import { type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { type Actor, findActor } from './actor.ts'
import { insertCaretaker } from './caretaker.ts'
import { changedAt, type Patch } from './patch.ts'
import { deleteProject } from './project-deletion.ts'
import { lockProjectRow, updateProject } from './project.ts'
import { Refusal } from './refusal.ts'
import {
  columnsOf,
  isWhole,
  lockSubject,
  requireSubject,
  type Subject,
  subjectOf,
  usersOf,
} from './task-subject.ts'
import { lockUsers } from './user-locks.ts'
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
 * Writes a new request of a user, and returns its id.
 * @throws Refusal `unauthenticated`, `invalid`, or `conflict` where one like it waits already.
 */
export async function insertTask(
  trx: Transaction<Database>,
  { subject, ...task }: NewTask,
  userId: string,
): Promise<string> {
  if (subject.action === 'deleteproject') await lockProjectRow(trx, subject.projectId)
  else await lockUsers(trx, usersOf(subject))
  const requester = await findActor(trx, userId)
  await requireSubject(trx, subject)
  await refuseSecond(trx, subject)
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

/**
 * Locks a request, and what it is about before it. `thing` is what clients call it.
 * @throws Refusal `unauthenticated` or `not_found`.
 */
export async function lockTask(
  trx: Transaction<Database>,
  id: string,
  userId: string,
  thing = 'Task',
): Promise<LockedTask> {
  const tasks = trx.selectFrom('adminoptions_admintask').selectAll().where('id', '=', id)
  const seen = await tasks.executeTakeFirst()
  const seenSubject = seen && subjectOf(seen)
  if (seenSubject) await lockSubject(trx, seenSubject)
  const task = await tasks.forUpdate().executeTakeFirst()
  const actor = await findActor(trx, userId)
  if (!task) throw new Refusal('not_found', `${thing} ${id} not found`)
  const subject = subjectOf(task)
  const isOther = JSON.stringify(subject) !== JSON.stringify(seenSubject)
  if (isOther && task.status === 'pending') {
    throw new Refusal('unavailable', 'Too many edits at once.')
  }
  return { ...task, requesterId: task.requester_id, subject, actor }
}

/**
 * Locks a request for a caretaker.
 * @throws Refusal `unauthenticated` or `not_found`, also for a request of another kind.
 */
export async function lockCaretakerRequest(
  trx: Transaction<Database>,
  id: string,
  userId: string,
): Promise<LockedTask> {
  const task = await lockTask(trx, id, userId, 'Caretaker request')
  if (task.action === 'setcaretaker') return task
  throw new Refusal('not_found', `Caretaker request ${id} not found`)
}

/** Whether it is the actor who is asked to act for somebody. */
export const isRequestedCaretaker = ({ subject, actor }: LockedTask): boolean =>
  subject?.action === 'setcaretaker' && subject.caretakerId === actor.id

/** Whether the actor made the request. */
export const isRequester = ({ requesterId, actor }: LockedTask): boolean => requesterId === actor.id

/** @throws Refusal `conflict` unless a request still waits for a decision. */
function requirePending({ status }: LockedTask): void {
  if (status !== 'pending') throw new Refusal('conflict', `This request is already ${status}.`)
}

/**
 * Does what a locked request asks for: in the same transaction, so that it is done once or not at
 * all.
 * @throws Refusal `conflict` when what it is about is gone or done already.
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
  return insertCaretaker(trx, {
    user_id: subject.coveredId,
    caretaker_id: subject.caretakerId,
    end_date: task.end_date,
    reason: task.reason,
    notes: task.notes,
  })
}

async function requireWhole(trx: Transaction<Database>, task: LockedTask): Promise<Subject> {
  requirePending(task)
  if (task.subject && (await isWhole(trx, task.subject))) return task.subject
  throw new Refusal('conflict', 'What this request is about no longer exists.')
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
async function refuseSecond(trx: Transaction<Database>, subject: Subject): Promise<void> {
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
  if (await same.executeTakeFirst()) throw new Refusal('conflict', PENDING[action])
  if (subject.action !== 'setcaretaker') return
  const caretaker = await trx
    .selectFrom('caretakers_caretaker')
    .select('id')
    .where('user_id', '=', subject.coveredId)
    .where('caretaker_id', '=', subject.caretakerId)
    .executeTakeFirst()
  if (caretaker) throw new Refusal('conflict', 'User already has this caretaker')
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
