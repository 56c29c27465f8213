import { type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { insertRow } from './insert-row.ts'
import type { Patch } from './patch.ts'
import { requireReference } from './reference.ts'
import { rejectDuplicate } from './unique.ts'
import { updateRow } from './update-row.ts'

/** The columns of a branch that may be changed. */
export type BranchPatch = Patch<'agencies_branch', 'name' | 'agency_id' | 'manager_id'>

/** A branch to be inserted. */
export type NewBranch = BranchPatch & { readonly name: string }

/**
 * Inserts a branch and returns its id.
 * @throws WriteError `invalid` if the agency or manager does not exist, `conflict` if the agency has a
 * branch of that name.
 */
export async function insertBranch(
  trx: Transaction<Database>,
  { name, agency_id = null, manager_id = null }: NewBranch,
): Promise<string> {
  await requireReferences(trx, { agency_id, manager_id })
  const row = { name, agency_id, manager_id }
  return insertRow(trx, 'agencies_branch', row).catch(rejectTakenName)
}

/**
 * Updates only the columns in the patch.
 * @throws WriteError `invalid` if the agency or manager does not exist, `conflict` if the agency has a
 * branch of that name.
 */
export async function updateBranch(
  trx: Transaction<Database>,
  branchId: string,
  patch: BranchPatch,
): Promise<void> {
  await requireReferences(trx, patch)
  await updateRow(trx, 'agencies_branch', branchId, patch).catch(rejectTakenName)
}

/** Deletes a branch and its addresses; its users keep their work record, without a branch. */
export async function deleteBranch(trx: Transaction<Database>, branchId: string): Promise<void> {
  if (await hasBranchContacts(trx)) {
    await sql`delete from contacts_branchcontact where branch_id = ${branchId}`.execute(trx)
  }
  await trx.deleteFrom('contacts_address').where('branch_id', '=', branchId).execute()
  await trx
    .updateTable('users_userwork')
    .set({ branch_id: null })
    .where('branch_id', '=', branchId)
    .execute()
  await trx.deleteFrom('agencies_branch').where('id', '=', branchId).execute()
}

// Only databases that Django created have this table; the API does not read it.
async function hasBranchContacts(trx: Transaction<Database>): Promise<boolean> {
  const { rows } = await sql<{ exists: boolean }>`
    select to_regclass('contacts_branchcontact') is not null as exists`.execute(trx)
  return rows[0]?.exists ?? false
}

async function requireReferences(trx: Transaction<Database>, branch: BranchPatch): Promise<void> {
  await requireReference(trx, 'agencies_agency', 'agency', branch.agency_id)
  await requireReference(trx, 'users_user', 'manager', branch.manager_id)
}

const rejectTakenName = rejectDuplicate('agency', 'name')
