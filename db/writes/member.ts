import { type Insertable, type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { findActor } from './actor.ts'
import { decideTwice } from './decide-twice.ts'
import { changedAt, differsFrom, type Patch } from './patch.ts'
import { isLeader, lockProjectRow } from './project.ts'
import { requireReference } from './reference.ts'
import { WriteError } from './write-error.ts'
import { rejectDuplicate } from './unique.ts'

/** The key of a membership. */
export interface MemberKey {
  readonly projectId: string
  readonly memberId: string
}

/** The columns of a membership that a leader of the project may change. */
export type MemberPatch = Patch<
  'projects_projectmember',
  'is_leader' | 'role' | 'time_allocation' | 'position' | 'short_code' | 'comments'
>

/** A membership to be inserted. */
export type NewMember = Omit<
  Insertable<Database['projects_projectmember']>,
  'id' | 'created_at' | 'updated_at' | 'user_id'
> & { readonly user_id: string }

/**
 * Locks a membership for a change by one of the project's leaders or a superuser.
 * @throws WriteError `unauthenticated`, or `not_found`, also if the actor does not lead the project.
 */
export async function lockMember(
  trx: Transaction<Database>,
  { projectId, memberId }: MemberKey,
  userId: string,
): Promise<void> {
  const missing = () =>
    new WriteError('not_found', `Member not found for project ${projectId} and user ${memberId}`)
  await decideTwice(
    async () => {
      if (!(await isLeader(trx, projectId, await findActor(trx, userId)))) throw missing()
    },
    () => lockProjectRow(trx, projectId),
  )
  const member = await trx
    .selectFrom('projects_projectmember')
    .select('id')
    .where('project_id', '=', projectId)
    .where('user_id', '=', memberId)
    .forUpdate()
    .executeTakeFirst()
  if (!member) throw missing()
}

/**
 * Adds a user to a locked project.
 * @throws WriteError `invalid` if the user does not exist, `conflict` if the user is a member already.
 */
export async function insertMember(trx: Transaction<Database>, member: NewMember): Promise<void> {
  await requireReference(trx, 'users_user', 'user', member.user_id)
  await trx
    .insertInto('projects_projectmember')
    .values({ ...member, created_at: changedAt, updated_at: changedAt })
    .execute()
    .catch(rejectDuplicate('project', 'user'))
}

/** Updates only the columns in the patch. */
export async function updateMember(
  trx: Transaction<Database>,
  { projectId, memberId }: MemberKey,
  patch: MemberPatch,
): Promise<void> {
  await trx
    .updateTable('projects_projectmember')
    .set({ ...patch, updated_at: changedAt })
    .where('project_id', '=', projectId)
    .where('user_id', '=', memberId)
    .where(differsFrom(patch))
    .execute()
}

/** Makes a member the project's only leader. */
export async function promoteMember(
  trx: Transaction<Database>,
  { projectId, memberId }: MemberKey,
): Promise<void> {
  const leads = sql<boolean>`user_id = ${memberId}`
  await trx
    .updateTable('projects_projectmember')
    .set({ is_leader: leads, updated_at: changedAt })
    .where('project_id', '=', projectId)
    .where('is_leader', 'is distinct from', leads)
    .execute()
}

/** Removes a member from a project. */
export async function deleteMember(
  trx: Transaction<Database>,
  { projectId, memberId }: MemberKey,
): Promise<void> {
  await trx
    .deleteFrom('projects_projectmember')
    .where('project_id', '=', projectId)
    .where('user_id', '=', memberId)
    .execute()
}
