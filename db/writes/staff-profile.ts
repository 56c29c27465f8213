import { type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { isVisible, staffProfiles } from '../queries/fragments/staff-profile.ts'
import { findActor, requirePermission } from './actor.ts'
import { decideTwice } from './decide-twice.ts'
import { changedAt, type Patch } from './patch.ts'
import { updateRow } from './update-row.ts'
import { WriteError } from './write-error.ts'

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

/** A profile, and the name of the entity to be changed in error messages. */
interface OwnedPart {
  /** Undefined if the entity does not exist. */
  readonly profileId: string | undefined
  /** For example `Profile 41`. */
  readonly entity: string
}

/**
 * Rejects an actor who neither owns a profile nor is a superuser.
 * @throws WriteError `unauthenticated`; `forbidden` for a public profile; `not_found` for a hidden or
 * missing one.
 */
export async function requireOwner(
  trx: Transaction<Database>,
  { profileId, entity }: OwnedPart,
  userId: string,
): Promise<void> {
  const actor = await findActor(trx, userId)
  const profile =
    profileId === undefined
      ? undefined
      : await staffProfiles(trx)
          .select(['profile.user_id', isVisible.as('is_visible')])
          .where('profile.id', '=', profileId)
          .executeTakeFirst()
  const isOwner = actor.isSuperuser || profile?.user_id === actor.id
  if (!profile || !(isOwner || profile.is_visible)) {
    throw new WriteError('not_found', `${entity} not found`)
  }
  requirePermission(isOwner)
}

/**
 * Locks a profile for a change by its owner or a superuser.
 * @throws WriteError like `requireOwner`.
 */
export const lockStaffProfile = (
  trx: Transaction<Database>,
  profileId: string,
  userId: string,
): Promise<void> =>
  decideTwice(
    () => requireOwner(trx, { profileId, entity: `Profile ${profileId}` }, userId),
    () =>
      trx
        .selectFrom('users_publicstaffprofile')
        .select('id')
        .where('id', '=', profileId)
        .forUpdate()
        .execute(),
  )

/** A profile to be inserted. */
export type NewStaffProfile = Pick<StaffProfilePatch, 'about' | 'expertise' | 'is_hidden'>

/**
 * Inserts the staff profile of the actor, and returns its id.
 * @throws WriteError `unauthenticated`, or `conflict` if the actor has a profile.
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
  if (!inserted) throw new WriteError('conflict', 'Profile already exists for this user')
  return inserted.id
}

/** Updates only the columns in the patch. */
export async function updateStaffProfile(
  trx: Transaction<Database>,
  profileId: string,
  patch: StaffProfilePatch,
): Promise<void> {
  await updateRow(trx, 'users_publicstaffprofile', profileId, patch)
}

/** Toggles whether a profile is hidden. */
export async function toggleStaffProfile(
  trx: Transaction<Database>,
  profileId: string,
  isHidden?: boolean,
): Promise<void> {
  await trx
    .updateTable('users_publicstaffprofile')
    .set({ is_hidden: isHidden ?? sql`not is_hidden`, updated_at: changedAt })
    .where('id', '=', profileId)
    .execute()
}

/** Deletes a profile and the rows that belong to it. */
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
