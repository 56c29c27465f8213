import { type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { deleteStaffProfile } from './staff-profile.ts'

/** Rows that belong to one user and are deleted with the user; the column refers to the user. */
const OWNED: readonly (readonly [table: keyof Database, column: string])[] = [
  ['users_userwork', 'user_id'],
  ['users_userprofile', 'user_id'],
  ['contacts_usercontact', 'user_id'],
  ['medias_useravatar', 'user_id'],
  ['projects_projectmember', 'user_id'],
  ['caretakers_caretaker', 'user_id'],
  ['caretakers_caretaker', 'caretaker_id'],
  ['users_doipublication', 'user_id'],
  ['agencies_division_directorate_email_list', 'user_id'],
  ['communications_reaction', 'user_id'],
  ['users_user_groups', 'user_id'],
  ['users_user_user_permissions', 'user_id'],
  ['django_admin_log', 'user_id'],
]

/** Rows that are kept; these columns no longer refer to the user. */
const SHARED: readonly (readonly [table: keyof Database, ...columns: string[]])[] = [
  ['agencies_agency', 'key_stakeholder_id'],
  ['agencies_branch', 'manager_id'],
  ['agencies_businessarea', 'leader_id', 'caretaker_id', 'finance_admin_id', 'data_custodian_id'],
  ['agencies_division', 'director_id', 'approver_id'],
  ['agencies_departmentalservice', 'director_id'],
  [
    'projects_projectdetail',
    'creator_id',
    'modifier_id',
    'owner_id',
    'data_custodian_id',
    'site_custodian_id',
  ],
  ['medias_projectphoto', 'uploader_id'],
  ['medias_businessareaphoto', 'uploader_id'],
  ['medias_projectplanmethodologyphoto', 'uploader_id'],
  ['medias_aecendorsementpdf', 'creator_id'],
  ['documents_projectdocument', 'creator_id', 'modifier_id'],
  ['documents_annualreport', 'creator_id', 'modifier_id'],
  ['adminoptions_admintask', 'requester_id', 'primary_user_id'],
  ['communications_comment', 'user_id'],
]

/** Deletes a locked user and the user's own rows, and removes references to the user from other rows. */
export async function deleteUser(trx: Transaction<Database>, id: string): Promise<void> {
  const profiles = await trx
    .selectFrom('users_publicstaffprofile')
    .select('id')
    .where('user_id', '=', id)
    .forUpdate()
    .execute()
  for (const profile of profiles) await deleteStaffProfile(trx, profile.id)

  // Another user's profile may refer to this user's picture.
  await trx
    .updateTable('users_userprofile')
    .set({ image_id: null })
    .where('image_id', 'in', (pictures) =>
      pictures.selectFrom('medias_useravatar').select('id').where('user_id', '=', id),
    )
    .execute()
  for (const [table, column] of OWNED) {
    await sql`delete from ${sql.table(table)} where ${sql.ref(column)} = ${id}`.execute(trx)
  }
  await handOver(trx, id, null)
  await trx.deleteFrom('users_user').where('id', '=', id).execute()
}

/** Replaces references to a user in shared rows by another user or null. */
export async function handOver(
  trx: Transaction<Database>,
  id: string,
  replacementId: string | null,
): Promise<void> {
  for (const [table, ...columns] of SHARED) {
    const refs = columns.map((column) => sql.ref(column))
    const assignments = refs.map(
      (ref) =>
        sql`${ref} = case ${ref} when ${id}::bigint then ${replacementId}::bigint else ${ref} end`,
    )
    await sql`
      update ${sql.table(table)} set ${sql.join(assignments)}
      where ${id}::bigint in (${sql.join(refs)})
    `.execute(trx)
  }
}
