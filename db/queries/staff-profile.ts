import { type Expression, type Kysely, sql } from 'kysely'
import { jsonArrayFrom, jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../schema.ts'
import { fileUrl } from './fragments/file-url.ts'
import { jsonObject } from './fragments/json-object.ts'
import { selectEducation, selectEmployment } from './fragments/profile-entry.ts'
import {
  person,
  profileRow,
  shownEmail,
  staffProfiles,
  visibleProfiles,
} from './fragments/staff-profile.ts'
import { jsonText } from './fragments/json-text.ts'

/** Public views of a staff profile: all of it, or a section of its page. */
export type StaffView = 'full' | 'hero' | 'overview' | 'cv'

export interface StaffProfileOptions {
  /** Includes profiles that are hidden or whose owner is inactive; for the owner and superusers. */
  readonly includesHidden?: boolean
}

/**
 * Returns a staff profile, or null. `private` is for the owner and superusers: it includes the settings,
 * and the log-in e-mail if the profile has no public one.
 */
export async function findStaffProfile(
  trx: Kysely<Database>,
  id: string,
  view: StaffView | 'private',
  { includesHidden = view === 'private' }: StaffProfileOptions = {},
): Promise<string | null> {
  const profiles = includesHidden ? staffProfiles(trx) : visibleProfiles(trx)
  const found = await profiles
    .where('profile.id', '=', id)
    .select(jsonText(profileObject(view)).as('body'))
    .executeTakeFirst()
  return found?.body ?? null
}

/** Returns the staff profile of a user as they see it themselves, or null. */
export async function findOwnStaffProfile(
  trx: Kysely<Database>,
  userId: string,
): Promise<string | null> {
  const found = await staffProfiles(trx)
    .where('profile.user_id', '=', userId)
    .select(jsonText(profileObject('private')).as('body'))
    .executeTakeFirst()
  return found?.body ?? null
}

/** Returns a row of `staffProfiles` as a JSON object. */
export const profileObject = (view: StaffView | 'private') => jsonObject(VIEWS[view])

const avatar = jsonObjectFrom(
  profileRow
    .selectFrom('medias_useravatar as avatar')
    .select((row) => [
      'avatar.id',
      fileUrl(row.ref('avatar.file')).as('file'),
      jsonObject({ id: row.ref('avatar.user_id') }).as('user'),
    ])
    .whereRef('avatar.user_id', '=', 'person.id'),
)

const businessArea = (id: Expression<string | null>) =>
  jsonObjectFrom(
    profileRow
      .selectFrom('agencies_businessarea as area')
      .select(['area.id', 'area.name'])
      .where('area.id', '=', id),
  )

const work = jsonObjectFrom(
  profileRow
    .selectFrom('users_userwork as work')
    .select((row) => [
      'work.id',
      sql`case
        when ${row.ref('profile.custom_title_on')} and ${row.ref('profile.custom_title')} <> ''
        then ${row.ref('profile.custom_title')}
        else ${row.ref('work.role')}
      end`.as('role'),
      businessArea(row.ref('work.business_area_id')).as('business_area'),
    ])
    .whereRef('work.user_id', '=', 'person.id'),
)

const keywords = jsonArrayFrom(
  profileRow
    .selectFrom('users_publicstaffprofile_keyword_tags as tagged')
    .innerJoin('users_keywordtag as tag', 'tag.id', 'tagged.keywordtag_id')
    .select(['tag.id', 'tag.name'])
    .whereRef('tagged.publicstaffprofile_id', '=', 'profile.id')
    .orderBy('tag.name')
    .orderBy('tag.id'),
)

const employment = jsonArrayFrom(
  selectEmployment().where('entry.public_profile_id', '=', profileRow.ref('profile.id')),
)

const education = jsonArrayFrom(
  selectEducation().where('entry.public_profile_id', '=', profileRow.ref('profile.id')),
)

const id = profileRow.ref('profile.id')
const hero = { id, user: person(shownEmail), avatar, work, about: profileRow.ref('profile.about') }
const overview = { id, expertise: profileRow.ref('profile.expertise'), keywords }
const cv = { id, employment_entries: employment, education_entries: education }

// Clients expect every key; private fields have the same constant value in every profile.
const full = {
  ...hero,
  ...overview,
  ...cv,
  is_hidden: sql.lit(false),
  custom_title: sql.lit(null),
  custom_title_on: sql.lit(false),
  public_email: sql.lit(null),
  public_email_on: sql.lit(false),
}

const VIEWS = {
  full,
  hero,
  overview,
  cv,
  private: {
    ...full,
    user: person(sql`coalesce(${shownEmail}, ${profileRow.ref('person.email')})`),
    is_hidden: profileRow.ref('profile.is_hidden'),
    custom_title: profileRow.ref('profile.custom_title'),
    custom_title_on: profileRow.ref('profile.custom_title_on'),
    public_email: profileRow.ref('profile.public_email'),
    public_email_on: profileRow.ref('profile.public_email_on'),
  },
}
