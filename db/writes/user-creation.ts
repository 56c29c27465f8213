import { randomBytes } from 'node:crypto'
import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { type Actor, findActor, requirePermission } from './actor.ts'
import { insertRow } from './insert-row.ts'
import { changedAt } from './patch.ts'
import { requireReference } from './reference.ts'
import { insertStaffProfile } from './staff-profile.ts'
import { rejectTakenEmail, rejectTakenName } from './user.ts'

/** A user to be inserted, with the place of work. */
export interface NewUser {
  readonly username: string
  readonly email: string | null
  readonly first_name: string | null
  readonly last_name: string | null
  readonly is_staff: boolean
  readonly affiliation_id: string | null
  readonly branch_id: string | null
  readonly business_area_id: string | null
}

/**
 * Returns the actor, who must be a superuser, or a member of staff to add an external user.
 * @throws WriteError `unauthenticated` or `forbidden`.
 */
export async function requireUserCreator(
  trx: Transaction<Database>,
  userId: string,
  { isExternal }: { readonly isExternal: boolean },
): Promise<Actor> {
  const actor = await findActor(trx, userId)
  const { is_staff } = await trx
    .selectFrom('users_user')
    .select('is_staff')
    .where('id', '=', actor.id)
    .executeTakeFirstOrThrow()
  requirePermission(actor.isSuperuser || (isExternal && is_staff))
  return actor
}

/**
 * Inserts an active user without a usable password, with rows for work, profile and contact, and for staff
 * a hidden staff profile. Returns the id.
 * @throws WriteError `conflict` if the user name or the e-mail address is taken, `invalid` if the
 * affiliation, branch or business area does not exist.
 */
export async function insertUser(trx: Transaction<Database>, user: NewUser): Promise<string> {
  const { affiliation_id, branch_id, business_area_id, ...columns } = user
  const { first_name, last_name } = columns
  await rejectTakenEmail(trx, null, columns.email ?? '')
  const { id } = await trx
    .insertInto('users_user')
    .values({
      ...columns,
      password: unusablePassword(),
      last_login: null,
      is_superuser: false,
      is_active: true,
      is_aec: false,
      date_joined: changedAt,
      old_pk: null,
      // Like Django on save.
      display_first_name: first_name,
      display_last_name: first_name ? last_name : null,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
    .catch(rejectTakenName)
  await requireReference(trx, 'agencies_affiliation', 'affiliation', affiliation_id)
  await requireReference(trx, 'agencies_branch', 'branch', branch_id)
  await requireReference(trx, 'agencies_businessarea', 'business_area', business_area_id)
  await insertRow(trx, 'users_userwork', {
    user_id: id,
    agency_id: await findAgency(trx, user),
    branch_id,
    business_area_id,
    affiliation_id,
    role: NO_ROLE,
  })
  await insertRow(trx, 'users_userprofile', {
    user_id: id,
    image_id: null,
    title: null,
    middle_initials: null,
  })
  await insertRow(trx, 'contacts_usercontact', {
    user_id: id,
    email: null,
    phone: null,
    alt_phone: null,
    fax: null,
  })
  if (user.is_staff) await insertStaffProfile(trx, id, { is_hidden: true })
  return id
}

/** The role that Django stores for a user without one. */
const NO_ROLE = 'None'

/** A password in Django's format that matches no text: the user logs in by another way, or gets one from Django. */
const unusablePassword = () => `!${randomBytes(30).toString('base64url')}`

/** Returns the agency of the branch, else of the business area; null without both. */
async function findAgency(
  trx: Transaction<Database>,
  { branch_id, business_area_id }: NewUser,
): Promise<string | null> {
  for (const [table, id] of [
    ['agencies_branch', branch_id],
    ['agencies_businessarea', business_area_id],
  ] as const) {
    if (id === null) continue
    const row = await trx
      .selectFrom(table)
      .select('agency_id')
      .where('id', '=', id)
      .executeTakeFirst()
    if (row?.agency_id) return row.agency_id
  }
  return null
}
