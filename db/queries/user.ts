import { type Expression, type Kysely, expressionBuilder, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { type Care, findCare } from './caretakers.ts'
import { affiliation } from './fragments/affiliation.ts'
import { agency } from './fragments/agency.ts'
import { branch } from './fragments/branch.ts'
import { businessArea } from './fragments/business-area.ts'
import { fileUrl } from './fragments/file-url.ts'
import { ledBusinessAreas } from './fragments/mini-business-area.ts'
import { perthTime } from './fragments/perth-time.ts'
import { isVisible } from './fragments/staff-profile.ts'
import { findObject } from './text.ts'

/** A user as JSON text. */
export interface FoundUser {
  readonly body: string
  /** Time until a caretaker relation in the text expires, in milliseconds. */
  readonly expiresInMs: number
}

const eb = expressionBuilder<Database>()

/**
 * Views of a user: `full` includes only fields of a public staff profile; `private` includes those of any,
 * and personal information.
 */
export type UserView = 'full' | 'private'

/** Returns a user as others see them, or null. `private` is for the user and superusers. */
export const findUser = (
  trx: Kysely<Database>,
  id: string,
  view: UserView,
): Promise<FoundUser | null> =>
  find(trx, id, (care) =>
    selectUsers(care, view).select((row) => [
      'person.old_pk',
      sql`array(${eb
        .selectFrom('users_user_groups as held')
        .select('held.group_id')
        .where('held.user_id', '=', row.ref('person.id'))
        .orderBy('held.group_id')})`.as('groups'),
      sql`array(${eb
        .selectFrom('users_user_user_permissions as held')
        .select('held.permission_id')
        .where('held.user_id', '=', row.ref('person.id'))
        .orderBy('held.permission_id')})`.as('user_permissions'),
      ...(view === 'private' ? personalInformation(row.ref('person.id')) : []),
    ]),
  )

/** Returns a user as they see themselves, or null. */
export const findMe = (trx: Kysely<Database>, id: string): Promise<FoundUser | null> =>
  find(trx, id, (care) =>
    selectUsers(care, 'private').select((row) => [
      ...personalInformation(row.ref('person.id')),
      'profile.id as staff_profile_id',
      row.fn.coalesce('profile.is_hidden', sql.lit(false)).as('staff_profile_hidden'),
      row.fn.coalesce('profile.public_email', sql.lit('')).as('public_email'),
      row.fn.coalesce('profile.public_email_on', sql.lit(false)).as('public_email_on'),
      row.fn.coalesce('profile.custom_title', sql.lit('')).as('custom_title'),
      row.fn.coalesce('profile.custom_title_on', sql.lit(false)).as('custom_title_on'),
      agency(row.ref('work.agency_id')).as('agency'),
    ]),
  )

/** Returns whether a user is a member of staff; null if the user does not exist. */
export const findIsStaff = (trx: Kysely<Database>, id: string): Promise<string | null> =>
  findObject(
    trx,
    eb.selectFrom('users_user as person').select('person.is_staff').where('person.id', '=', id),
  )

async function find(
  trx: Kysely<Database>,
  id: string,
  select: (care: Care) => ReturnType<typeof selectUsers>,
): Promise<FoundUser | null> {
  const care = await findCare(trx, id)
  const body = await findObject(trx, select(care).where('person.id', '=', id))
  return body === null ? null : { body, expiresInMs: care.expiresInMs }
}

/** Selects users with the fields that `findUser` and `findMe` share. */
const selectUsers = (care: Care, view: UserView) =>
  eb
    .selectFrom('users_user as person')
    .leftJoin('users_userwork as work', 'work.user_id', 'person.id')
    .leftJoin('users_publicstaffprofile as profile', 'profile.user_id', 'person.id')
    .leftJoin('medias_useravatar as avatar', 'avatar.user_id', 'person.id')
    .select((row) => [
      'person.id',
      'person.username',
      'person.email',
      'person.display_first_name',
      'person.display_last_name',
      'person.first_name',
      'person.last_name',
      'person.is_superuser',
      'person.is_staff',
      'person.is_active',
      'person.is_aec',
      perthTime(row.ref('person.date_joined')).as('date_joined'),
      fileUrl(row.ref('avatar.file')).as('image'),
      'work.role',
      branch(row.ref('work.branch_id')).as('branch'),
      businessArea(row.ref('work.business_area_id'), 'user').as('business_area'),
      affiliation(row.ref('work.affiliation_id')).as('affiliation'),
      ledBusinessAreas(row.ref('person.id')).as('business_areas_led'),
      sql`${care.caretakers}::json`.as('caretakers'),
      sql`${care.caretakingFor}::json`.as('caretaking_for'),
      ofProfile(row.ref('profile.about'), view).as('about'),
      ofProfile(row.ref('profile.expertise'), view).as('expertise'),
    ])

/** Title, phone and fax of a user; empty texts for missing ones. */
const personalInformation = (id: Expression<string>) => {
  const profile = eb.selectFrom('users_userprofile as profile').where('profile.user_id', '=', id)
  const contact = eb.selectFrom('contacts_usercontact as contact').where('contact.user_id', '=', id)
  return [
    orEmpty(profile.select('profile.title')).as('title'),
    orEmpty(contact.select('contact.phone')).as('phone'),
    orEmpty(contact.select('contact.fax')).as('fax'),
  ]
}

const orEmpty = (text: Expression<unknown>) => sql<string>`coalesce(${text}, '')`

/** Returns a text of a user's staff profile; empty if there is none that the viewer may see. */
const ofProfile = (text: Expression<string | null>, view: UserView) =>
  view === 'private'
    ? sql<string>`coalesce(${text}, '')`
    : sql<string>`coalesce(case when ${isVisible} then ${text} end, '')`
