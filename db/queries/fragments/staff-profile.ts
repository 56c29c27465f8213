import { type Expression, type Kysely, expressionBuilder, sql } from 'kysely'
import type { Database } from '../../schema.ts'
import { jsonObject } from './json-object.ts'

/** Every staff profile beside the person it is of; to be narrowed. */
export const staffProfiles = (trx: Kysely<Database>) =>
  trx
    .selectFrom('users_publicstaffprofile as profile')
    .innerJoin('users_user as person', 'person.id', 'profile.user_id')

/** For expressions over a row of `staffProfiles`. */
export const profileRow = expressionBuilder<
  Database & {
    readonly profile: Database['users_publicstaffprofile']
    readonly person: Database['users_user']
  },
  'profile' | 'person'
>()

/** Whether everybody may see a profile. */
export const isVisible = profileRow.and({ 'profile.is_hidden': false, 'person.is_active': true })

/** The staff profiles that everybody may see; to be narrowed. */
export const visibleProfiles = (trx: Kysely<Database>) => staffProfiles(trx).where(isVisible)

/** Who asks to see a profile. */
export interface Viewer {
  readonly userId: string
  readonly isSuperuser: boolean
}

/** The staff profiles that somebody may see: those of all, and hidden ones that are theirs. */
export const profilesSeenBy = (trx: Kysely<Database>, { userId, isSuperuser }: Viewer) =>
  staffProfiles(trx).where((row) =>
    row.or([row.lit(isSuperuser), row('profile.user_id', '=', userId), isVisible]),
  )

/** The e-mail that a profile shows to everybody; null when it shows none. */
export const shownEmail = sql<string | null>`case
  when ${profileRow.ref('profile.public_email_on')} then nullif(${profileRow.ref('profile.public_email')}, '')
end`

/** The person that a profile is of, under the name they chose to show. */
export const person = (email: Expression<string | null>) =>
  jsonObject({
    id: profileRow.ref('person.id'),
    first_name: profileRow.ref('person.display_first_name'),
    last_name: profileRow.ref('person.display_last_name'),
    email,
  })
