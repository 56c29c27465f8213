import { type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { findActor, requirePermission } from './actor.ts'
import { changedAt, differsFrom, type Patch } from './patch.ts'
import { Refusal } from './refusal.ts'

/** The columns of a staff profile that its owner may change. */
export type StaffProfilePatch = Patch<
  'users_publicstaffprofile',
  | 'about'
  | 'expertise'
  | 'is_hidden'
  | 'custom_title'
  | 'custom_title_on'
  | 'public_email'
  | 'public_email_on'
>

/**
 * Locks a profile for a change by its owner or a superuser.
 * @throws Refusal `unauthenticated`, `not_found` or `forbidden`.
 */
export async function lockStaffProfile(
  trx: Transaction<Database>,
  profileId: string,
  userId: string,
): Promise<void> {
  const profile = await trx
    .selectFrom('users_publicstaffprofile')
    .select('user_id')
    .where('id', '=', profileId)
    .forUpdate()
    .executeTakeFirst()
  const actor = await findActor(trx, userId)
  if (!profile) throw new Refusal('not_found', `Profile ${profileId} not found`)
  requirePermission(actor.isSuperuser || profile.user_id === actor.id)
}

/** A profile as its owner first writes it. */
export type NewStaffProfile = Pick<StaffProfilePatch, 'about' | 'expertise' | 'is_hidden'>

/**
 * Writes the profile of whoever asks, and returns its id.
 * @throws Refusal `unauthenticated`, or `conflict` when they have one.
 */
export async function insertStaffProfile(
  trx: Transaction<Database>,
  userId: string,
  { about = '', expertise = '', is_hidden = false }: NewStaffProfile,
): Promise<string> {
  const { id: user_id } = await findActor(trx, userId)
  const inserted = await trx
    .insertInto('users_publicstaffprofile')
    .values({
      user_id,
      about,
      expertise,
      is_hidden,
      title: null,
      public_email: null,
      public_email_on: false,
      custom_title: null,
      custom_title_on: false,
      it_asset_id: null,
      employee_id: null,
      aucode: null,
      created_at: changedAt,
      updated_at: changedAt,
    })
    .onConflict((conflict) => conflict.column('user_id').doNothing())
    .returning('id')
    .executeTakeFirst()
  if (!inserted) throw new Refusal('conflict', 'Profile already exists for this user')
  return inserted.id
}

/** Writes the columns that were sent, and no other. */
export async function updateStaffProfile(
  trx: Transaction<Database>,
  profileId: string,
  patch: StaffProfilePatch,
): Promise<void> {
  await trx
    .updateTable('users_publicstaffprofile')
    .set({ ...patch, updated_at: changedAt })
    .where('id', '=', profileId)
    .where(differsFrom(patch))
    .execute()
}

/** Hides a visible profile and shows a hidden one. */
export async function toggleStaffProfile(
  trx: Transaction<Database>,
  profileId: string,
): Promise<void> {
  await trx
    .updateTable('users_publicstaffprofile')
    .set({ is_hidden: sql`not is_hidden`, updated_at: changedAt })
    .where('id', '=', profileId)
    .execute()
}

/** Deletes a profile and what belongs to it. */
export async function deleteStaffProfile(
  trx: Transaction<Database>,
  profileId: string,
): Promise<void> {
  await trx.deleteFrom('users_employmententry').where('public_profile_id', '=', profileId).execute()
  await trx.deleteFrom('users_educationentry').where('public_profile_id', '=', profileId).execute()
  await trx
    .deleteFrom('documents_custompublication')
    .where('public_profile_id', '=', profileId)
    .execute()
  await trx
    .deleteFrom('users_publicstaffprofile_keyword_tags')
    .where('publicstaffprofile_id', '=', profileId)
    .execute()
  await trx.deleteFrom('users_publicstaffprofile').where('id', '=', profileId).execute()
}
