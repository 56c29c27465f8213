import { type Expression, type Kysely, expressionBuilder, sql } from 'kysely'
import type { Database } from '../../schema.ts'
import { jsonObject } from './json-object.ts'

/** Selects every staff profile joined with its owner; callers add conditions. */
export const staffProfiles = (trx: Kysely<Database>) =>
  trx
    .selectFrom('users_publicstaffprofile as profile')
    .innerJoin('users_user as person', 'person.id', 'profile.user_id')

/** Expression builder for rows of `staffProfiles`. */
export const profileRow = expressionBuilder<
  Database & {
    readonly profile: Database['users_publicstaffprofile']
    readonly person: Database['users_user']
  },
  'profile' | 'person'
>()

/** Whether a profile is public. */
export const isVisible = profileRow.and({ 'profile.is_hidden': false, 'person.is_active': true })

/** Selects the public staff profiles; callers add conditions. */
export const visibleProfiles = (trx: Kysely<Database>) => staffProfiles(trx).where(isVisible)

/** The user who requests a profile. */
export interface Viewer {
  readonly userId: string
  readonly isSuperuser: boolean
}

/** Selects the staff profiles that the viewer may see; hidden ones for their owner and superusers. */
export const profilesSeenBy = (trx: Kysely<Database>, { userId, isSuperuser }: Viewer) =>
  staffProfiles(trx).where((row) =>
    row.or([row.lit(isSuperuser), row('profile.user_id', '=', userId), isVisible]),
  )

/** The public e-mail address of a profile; null if it has none. */
export const shownEmail = sql<string | null>`case
  when ${profileRow.ref('profile.public_email_on')} then nullif(${profileRow.ref('profile.public_email')}, '')
end`

/** Returns the owner of a profile under their display name. */
export const person = (email: Expression<string | null>) =>
  jsonObject({
    id: profileRow.ref('person.id'),
    first_name: profileRow.ref('person.display_first_name'),
    last_name: profileRow.ref('person.display_last_name'),
    email,
  })
