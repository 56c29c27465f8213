import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { findActor } from './actor.ts'
import { changedAt, differsFrom, type Patch } from './patch.ts'
import { lockProjectRow, requireLeader } from './project.ts'
import { Refusal } from './refusal.ts'

/** A membership is named by the project and the person. */
export interface MemberKey {
  readonly projectId: string
  readonly memberId: string
}

/** The columns of a membership that a leader of the project may change. */
export type MemberPatch = Patch<
  'projects_projectmember',
  'is_leader' | 'role' | 'time_allocation' | 'position' | 'short_code' | 'comments'
>

/**
 * Locks a membership for a change by one of the project's leaders or a superuser.
 * @throws Refusal `unauthenticated`, `not_found` or `forbidden`.
 */
export async function lockMember(
  trx: Transaction<Database>,
  { projectId, memberId }: MemberKey,
  userId: string,
): Promise<void> {
  await lockProjectRow(trx, projectId)
  const member = await trx
    .selectFrom('projects_projectmember')
    .select('id')
    .where('project_id', '=', projectId)
    .where('user_id', '=', memberId)
    .forUpdate()
    .executeTakeFirst()
  const actor = await findActor(trx, userId)
  if (!member) {
    const message = `Member not found for project ${projectId} and user ${memberId}`
    throw new Refusal('not_found', message)
  }
  await requireLeader(trx, projectId, actor)
}

/** Writes the columns that were sent, and no other. */
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

/** Takes a person off a project. */
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
