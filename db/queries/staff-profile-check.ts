import { type Kysely, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { jsonObject } from './fragments/json-object.ts'
import { profileRow, staffProfiles, visibleProfiles } from './fragments/staff-profile.ts'
import { profileObject } from './staff-profile.ts'
import { jsonText } from './fragments/json-text.ts'

const NONE = JSON.stringify({ exists: false, is_active: false, profile: null })

/**
 * Returns whether a user has a staff profile, and the profile. `private` is for the owner and
 * superusers; the other view treats a hidden profile as missing.
 */
export async function checkStaffProfile(
  trx: Kysely<Database>,
  userId: string,
  view: 'full' | 'private',
): Promise<string> {
  const check = jsonObject({
    exists: sql.lit(true),
    is_active: profileRow.ref('person.is_active'),
    profile: profileObject(view),
  })
  const profiles = view === 'private' ? staffProfiles(trx) : visibleProfiles(trx)
  const found = await profiles
    .where('profile.user_id', '=', userId)
    .select(jsonText(check).as('body'))
    .executeTakeFirst()
  return found?.body ?? NONE
}
