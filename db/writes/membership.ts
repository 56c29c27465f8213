import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { changedAt, differsFrom, type Patch } from './patch.ts'
import { requireReference } from './reference.ts'
import { WriteError } from './write-error.ts'
import { lockUser } from './user.ts'

/** Where a user belongs, as they and superusers may say. */
export type MembershipPatch = Patch<
  'users_userwork',
  'role' | 'business_area_id' | 'affiliation_id' | 'branch_id'
>

/**
 * Locks where a user belongs, for a change by themselves or a superuser.
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
 * Writes the columns that were sent, and no other.
 * @throws WriteError `invalid` for an unknown business area, affiliation or branch.
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
