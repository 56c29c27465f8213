import { type Kysely, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { contains } from './fragments/contains.ts'
import { fileUrl } from './fragments/file-url.ts'
import { jsonObject } from './fragments/json-object.ts'
import { person, profileRow, shownEmail, visibleProfiles } from './fragments/staff-profile.ts'
import { type Page, type PageOptions, findPage } from './text.ts'

/** Default number of profiles per page. */
export const STAFF_PAGE_SIZE = 24

export interface StaffPageOptions extends PageOptions {
  readonly search?: string
  /** Id of the owner's business area. */
  readonly businessArea?: string
}

/** Returns a page of the public staff list, sorted by display name. */
export function findStaffPage(
  trx: Kysely<Database>,
  { search, businessArea, ...page }: StaffPageOptions,
): Promise<Page> {
  let listed = visibleProfiles(trx)
    .where('person.is_staff', '=', true)
    .leftJoin('users_userwork as work', 'work.user_id', 'person.id')
    .leftJoin('agencies_businessarea as area', 'area.id', 'work.business_area_id')
    .leftJoin('medias_useravatar as avatar', 'avatar.user_id', 'person.id')
    .select((row) => [
      'profile.id',
      person(shownEmail).as('user'),
      fileUrl(row.ref('avatar.file')).as('image'),
      sql`case when ${row.ref('area.id')} is not null then ${jsonObject({
        id: row.ref('area.id'),
        name: row.ref('area.name'),
      })} end`.as('business_area'),
      'profile.about',
      'profile.expertise',
      sql.lit(false).as('is_hidden'),
    ])
    .orderBy('person.display_last_name')
    .orderBy('person.display_first_name')
    .orderBy('profile.id')
  if (businessArea !== undefined) listed = listed.where('work.business_area_id', '=', businessArea)
  if (search !== undefined) listed = listed.where(mentions(search))
  return findPage(trx, 'profiles', listed, page)
}

// The log-in e-mail is not searched: a client could find it out by searching.
const SEARCHED = [
  profileRow.ref('person.first_name'),
  profileRow.ref('person.last_name'),
  shownEmail,
  profileRow.ref('profile.about'),
]

const mentions = (term: string) => profileRow.or(SEARCHED.map((text) => contains(text, term)))
