import { type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { insertRow } from './insert-row.ts'
import { changedAt, type Patch } from './patch.ts'
import { requireReference } from './reference.ts'
import { rejectDuplicate } from './unique.ts'
import { updateRow } from './update-row.ts'

/** The columns of a business area that may be changed. */
export type BusinessAreaPatch = Patch<
  'agencies_businessarea',
  | 'name'
  | 'slug'
  | 'agency_id'
  | 'division_id'
  | 'leader_id'
  | 'finance_admin_id'
  | 'data_custodian_id'
  | 'focus'
  | 'introduction'
>

/** A business area to be inserted. */
export type NewBusinessArea = BusinessAreaPatch & {
  readonly name: string
  readonly agency_id: string
}

/**
 * Inserts a business area and returns its id.
 * @throws WriteError `invalid` if a referenced row does not exist, `conflict` if the agency has a
 * business area of that name.
 */
export async function insertBusinessArea(
  trx: Transaction<Database>,
  area: NewBusinessArea,
): Promise<string> {
  await requireReferences(trx, area)
  const {
    slug = null,
    division_id = null,
    leader_id = null,
    finance_admin_id = null,
    data_custodian_id = null,
    focus = null,
    introduction = null,
    ...rest
  } = area
  const row = {
    ...rest,
    slug,
    division_id,
    leader_id,
    finance_admin_id,
    data_custodian_id,
    focus,
    introduction,
    published: false,
    is_active: true,
    caretaker_id: null,
    cost_center: null,
    old_leader_id: null,
    old_finance_admin_id: null,
    old_data_custodian_id: null,
  }
  return insertRow(trx, 'agencies_businessarea', row).catch(rejectTakenName)
}

/**
 * Updates only the columns in the patch.
 * @throws WriteError `invalid` if a referenced row does not exist, `conflict` if the agency has a
 * business area of that name.
 */
export async function updateBusinessArea(
  trx: Transaction<Database>,
  id: string,
  patch: BusinessAreaPatch,
): Promise<void> {
  await requireReferences(trx, patch)
  await updateRow(trx, 'agencies_businessarea', id, patch).catch(rejectTakenName)
}

/** Sets whether a business area is active; without `isActive` it toggles that. */
export async function toggleBusinessArea(
  trx: Transaction<Database>,
  id: string,
  isActive?: boolean,
): Promise<void> {
  await trx
    .updateTable('agencies_businessarea')
    .set({ is_active: isActive ?? sql`not is_active`, updated_at: changedAt })
    .where('id', '=', id)
    .execute()
}

/** Deletes a business area and its photo; its users and projects stay, without a business area. */
export async function deleteBusinessArea(trx: Transaction<Database>, id: string): Promise<void> {
  await trx.deleteFrom('medias_businessareaphoto').where('business_area_id', '=', id).execute()
  await trx
    .updateTable('projects_project')
    .set({ business_area_id: null })
    .where('business_area_id', '=', id)
    .execute()
  await trx
    .updateTable('users_userwork')
    .set({ business_area_id: null })
    .where('business_area_id', '=', id)
    .execute()
  await trx.deleteFrom('agencies_businessarea').where('id', '=', id).execute()
}

async function requireReferences(
  trx: Transaction<Database>,
  area: BusinessAreaPatch,
): Promise<void> {
  await requireReference(trx, 'agencies_agency', 'agency', area.agency_id)
  await requireReference(trx, 'agencies_division', 'division', area.division_id)
  await requireReference(trx, 'users_user', 'leader', area.leader_id)
  await requireReference(trx, 'users_user', 'finance_admin', area.finance_admin_id)
  await requireReference(trx, 'users_user', 'data_custodian', area.data_custodian_id)
}

const rejectTakenName = rejectDuplicate('name', 'agency')
