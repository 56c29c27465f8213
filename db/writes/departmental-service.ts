import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { insertRow } from './insert-row.ts'
import type { Patch } from './patch.ts'
import { requireReference } from './reference.ts'
import { updateRow } from './update-row.ts'

/** The columns of a departmental service that may be changed. */
export type DepartmentalServicePatch = Patch<'agencies_departmentalservice', 'name' | 'director_id'>

/** A departmental service to be inserted. */
export type NewDepartmentalService = DepartmentalServicePatch & { readonly name: string }

/**
 * Inserts a departmental service and returns its id.
 * @throws WriteError `invalid` if the director does not exist.
 */
export async function insertDepartmentalService(
  trx: Transaction<Database>,
  { name, director_id = null }: NewDepartmentalService,
): Promise<string> {
  await requireReference(trx, 'users_user', 'director', director_id)
  return insertRow(trx, 'agencies_departmentalservice', { name, director_id })
}

/**
 * Updates only the columns in the patch.
 * @throws WriteError `invalid` if the director does not exist.
 */
export async function updateDepartmentalService(
  trx: Transaction<Database>,
  id: string,
  patch: DepartmentalServicePatch,
): Promise<void> {
  await requireReference(trx, 'users_user', 'director', patch.director_id)
  await updateRow(trx, 'agencies_departmentalservice', id, patch)
}

/** Deletes a departmental service; its projects stay, without a service. */
export async function deleteDepartmentalService(
  trx: Transaction<Database>,
  id: string,
): Promise<void> {
  await trx
    .updateTable('projects_projectdetail')
    .set({ service_id: null })
    .where('service_id', '=', id)
    .execute()
  await trx.deleteFrom('agencies_departmentalservice').where('id', '=', id).execute()
}
