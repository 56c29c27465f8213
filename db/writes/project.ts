import { type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { type Actor, findActor, requirePermission } from './actor.ts'
import { changedAt, differsFrom, type Patch } from './patch.ts'
import { refuseReference, requireReference } from './reference.ts'
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
 * Locks the project that a new row names, for one of its leaders or a superuser.
 * @throws Refusal `unauthenticated`, `invalid` (there is no such project) or `forbidden`.
 */
export async function lockNamedProject(
  trx: Transaction<Database>,
  projectId: string,
  userId: string,
): Promise<void> {
  const isFound = await lockProjectRow(trx, projectId)
  const actor = await findActor(trx, userId)
  if (!isFound) refuseReference('project', projectId)
  await requireLeader(trx, projectId, actor)
}

/**
 * Locks a project for one of its members, who need not lead it.
 * @throws Refusal `unauthenticated`, `not_found` or `forbidden`.
 */
export async function lockOwnProject(
  trx: Transaction<Database>,
  projectId: string,
  userId: string,
): Promise<void> {
  const isFound = await lockProjectRow(trx, projectId)
  const actor = await findActor(trx, userId)
  if (!isFound) throw new Refusal('not_found', `Project ${projectId} not found`)
  requirePermission((await findMembership(trx, projectId, actor)) !== undefined)
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
  const membership = await findMembership(trx, projectId, actor)
  requirePermission(actor.isSuperuser || membership?.is_leader === true)
}

const findMembership = (trx: Transaction<Database>, projectId: string, { id }: Actor) =>
  trx
    .selectFrom('projects_projectmember')
    .select('is_leader')
    .where('project_id', '=', projectId)
    .where('user_id', '=', id)
    .executeTakeFirst()

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

/** Leaves the project out of a member's public page, or lists it there again. */
export async function toggleProjectVisibility(
  trx: Transaction<Database>,
  projectId: string,
  memberId: string,
): Promise<void> {
  const hidden = sql.ref('hidden_from_staff_profiles')
  await trx
    .updateTable('projects_project')
    .set({
      hidden_from_staff_profiles: sql`case
        when ${memberId}::integer = any(${hidden}) then array_remove(${hidden}, ${memberId}::integer)
        else array_append(${hidden}, ${memberId}::integer)
      end`,
      updated_at: changedAt,
    })
    .where('id', '=', projectId)
    .execute()
}
