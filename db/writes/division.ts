import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { insertRow } from './insert-row.ts'
import type { Patch } from './patch.ts'
import { requireReference } from './reference.ts'
import { updateRow } from './update-row.ts'

/** The columns of a division that may be changed. */
export type DivisionPatch = Patch<
  'agencies_division',
  'name' | 'slug' | 'director_id' | 'approver_id'
>

/** A division to be inserted. */
export type NewDivision = DivisionPatch & { readonly name: string; readonly slug: string }

/**
 * Inserts a division and returns its id.
 * @throws WriteError `invalid` if the director or approver does not exist.
 */
export async function insertDivision(
  trx: Transaction<Database>,
  division: NewDivision,
): Promise<string> {
  await requireReferences(trx, division)
  const { director_id = null, approver_id = null, ...rest } = division
  return insertRow(trx, 'agencies_division', { ...rest, director_id, approver_id })
}

/**
 * Updates only the columns in the patch.
 * @throws WriteError `invalid` if the director or approver does not exist.
 */
export async function updateDivision(
  trx: Transaction<Database>,
  id: string,
  patch: DivisionPatch,
): Promise<void> {
  await requireReferences(trx, patch)
  await updateRow(trx, 'agencies_division', id, patch)
}

/**
 * Replaces the e-mail list of a division. Users who are already on it keep their position, and new users
 * come last.
 * @throws WriteError `invalid` if a user does not exist.
 */
export async function replaceEmailList(
  trx: Transaction<Database>,
  id: string,
  userIds: readonly string[],
): Promise<void> {
  for (const userId of userIds.toSorted()) {
    await requireReference(trx, 'users_user', 'usersList', userId)
  }
  await trx
    .deleteFrom('agencies_division_directorate_email_list')
    .where('division_id', '=', id)
    .$if(userIds.length > 0, (listed) => listed.where('user_id', 'not in', userIds))
    .execute()
  if (userIds.length === 0) return
  await trx
    .insertInto('agencies_division_directorate_email_list')
    .values(userIds.map((user_id) => ({ division_id: id, user_id })))
    .onConflict((conflict) => conflict.columns(['division_id', 'user_id']).doNothing())
    .execute()
}

/** Deletes a division and its e-mail list; its business areas stay, without a division. */
export async function deleteDivision(trx: Transaction<Database>, id: string): Promise<void> {
  await trx
    .deleteFrom('agencies_division_directorate_email_list')
    .where('division_id', '=', id)
    .execute()
  await trx
    .updateTable('agencies_businessarea')
    .set({ division_id: null })
    .where('division_id', '=', id)
    .execute()
  await trx.deleteFrom('agencies_division').where('id', '=', id).execute()
}

async function requireReferences(
  trx: Transaction<Database>,
  division: DivisionPatch,
): Promise<void> {
  await requireReference(trx, 'users_user', 'director', division.director_id)
  await requireReference(trx, 'users_user', 'approver', division.approver_id)
}
