import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { changedAt, differsFrom, type Patch } from './patch.ts'
import { requireReference } from './reference.ts'
import { WriteError } from './write-error.ts'
import { lockUser } from './user.ts'

/** The columns of a user's place of work that the user and superusers may change. */
export type MembershipPatch = Patch<
  'users_userwork',
  'role' | 'business_area_id' | 'affiliation_id' | 'branch_id'
>

/**
 * Locks a user's place of work for a change by the user or a superuser.
 * @throws WriteError `unauthenticated`, `not_found` or `forbidden`.
 */
export async function lockMembership(
  trx: Transaction<Database>,
  id: string,
  userId: string,
): Promise<void> {
  await lockUser(trx, id, userId)
  const work = await trx
    .selectFrom('users_userwork')
    .select('id')
    .where('user_id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  if (work) return
  const message = 'No work record found'
  throw new WriteError('not_found', message, { fields: { error: message } })
}

/**
 * Updates only the columns in the patch.
 * @throws WriteError `invalid` if the business area, affiliation or branch does not exist.
 */
export async function updateMembership(
  trx: Transaction<Database>,
  id: string,
  patch: MembershipPatch,
): Promise<void> {
  await requireReference(trx, 'agencies_businessarea', 'business_area', patch.business_area_id)
  await requireReference(trx, 'agencies_affiliation', 'affiliation', patch.affiliation_id)
  await requireReference(trx, 'agencies_branch', 'branch', patch.branch_id)
  await trx
    .updateTable('users_userwork')
    .set({ ...patch, updated_at: changedAt })
    .where('user_id', '=', id)
    .where(differsFrom(patch))
    .execute()
}
