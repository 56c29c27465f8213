import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { type Actor, findActor, requirePermission } from './actor.ts'
import { changedAt, differsFrom, type Patch } from './patch.ts'
import { requireReference } from './reference.ts'
import { Refusal } from './refusal.ts'

/** The columns of a project that its leaders may change. */
export type ProjectPatch = Patch<
  'projects_project',
  | 'kind'
  | 'status'
  | 'year'
  | 'number'
  | 'title'
  | 'description'
  | 'tagline'
  | 'keywords'
  | 'start_date'
  | 'end_date'
  | 'deletion_requested'
  | 'hidden_from_staff_profiles'
  | 'business_area_id'
>

/**
 * Locks a project for a change by one of its leaders or a superuser.
 * @throws Refusal `unauthenticated`, `not_found` or `forbidden`.
 */
export async function lockProject(
  trx: Transaction<Database>,
  projectId: string,
  userId: string,
): Promise<void> {
  const isFound = await lockProjectRow(trx, projectId)
  const actor = await findActor(trx, userId)
  if (!isFound) throw new Refusal('not_found', `Project ${projectId} not found`)
  await requireLeader(trx, projectId, actor)
}

/**
 * Locks a project's row, if there is one. Every change of its members takes this lock before it
 * looks at who leads: of two leaders who remove each other only one can.
 */
export async function lockProjectRow(
  trx: Transaction<Database>,
  projectId: string,
): Promise<boolean> {
  const project = await trx
    .selectFrom('projects_project')
    .select('id')
    .where('id', '=', projectId)
    .forUpdate()
    .executeTakeFirst()
  return project !== undefined
}

/** Refuses an actor who neither leads the project nor is a superuser. */
export async function requireLeader(
  trx: Transaction<Database>,
  projectId: string,
  actor: Actor,
): Promise<void> {
  const leadership = await trx
    .selectFrom('projects_projectmember')
    .select('id')
    .where('project_id', '=', projectId)
    .where('user_id', '=', actor.id)
    .where('is_leader', '=', true)
    .executeTakeFirst()
  requirePermission(actor.isSuperuser || leadership !== undefined)
}

/**
 * Writes the columns that were sent, and no other.
 * @throws Refusal `invalid` when there is no such business area.
 */
export async function updateProject(
  trx: Transaction<Database>,
  projectId: string,
  patch: ProjectPatch,
): Promise<void> {
  await requireReference(trx, 'agencies_businessarea', 'business_area', patch.business_area_id)
  await trx
    .updateTable('projects_project')
    .set({ ...patch, updated_at: changedAt })
    .where('id', '=', projectId)
    .where(differsFrom(patch))
    .execute()
}
