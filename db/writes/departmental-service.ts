import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { changedAt, differsFrom, type Patch } from './patch.ts'
import { requireReference } from './reference.ts'
import { lockForSuperuser } from './superuser.ts'

/** The columns of a departmental service that may be changed. */
export type DepartmentalServicePatch = Patch<'agencies_departmentalservice', 'name' | 'director_id'>

/** A departmental service to be inserted. */
export type NewDepartmentalService = DepartmentalServicePatch & { readonly name: string }

/**
 * Locks a departmental service for a change by a superuser.
 * @throws WriteError `unauthenticated`, `not_found` or `forbidden`.
 */
export const lockDepartmentalService = (
  trx: Transaction<Database>,
  id: string,
  userId: string,
): Promise<void> =>
  lockForSuperuser(
    trx,
    { table: 'agencies_departmentalservice', entity: 'Departmental service', id },
    userId,
  )

/**
 * Inserts a departmental service and returns its id.
 * @throws WriteError `invalid` if the director does not exist.
 */
export async function insertDepartmentalService(
  trx: Transaction<Database>,
  { name, director_id = null }: NewDepartmentalService,
): Promise<string> {
  await requireReference(trx, 'users_user', 'director', director_id)
  const { id } = await trx
    .insertInto('agencies_departmentalservice')
    .values({ name, director_id, created_at: changedAt, updated_at: changedAt })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
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
  await trx
    .updateTable('agencies_departmentalservice')
    .set({ ...patch, updated_at: changedAt })
    .where('id', '=', id)
    .where(differsFrom(patch))
    .execute()
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
