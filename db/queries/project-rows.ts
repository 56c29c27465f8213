import { type Kysely, sql } from 'kysely'
import { jsonArrayFrom } from 'kysely/helpers/postgres'
import type { Database } from '../schema.ts'
import { selectProjectRows } from './fragments/project-row.ts'
import { visibleProfiles } from './fragments/staff-profile.ts'
import { findArray } from './text.ts'
import { jsonText } from './fragments/json-text.ts'

/** Returns the projects of a user as other users see them. */
export const findUserProjects = (trx: Kysely<Database>, userId: string): Promise<string> =>
  findArray(trx, selectProjectRows(userId, 'user'))

/**
 * Returns the projects on the public page of a user's staff profile, without those that the user has
 * hidden there. Null if the user has no public profile.
 */
export async function findStaffProjects(
  trx: Kysely<Database>,
  userId: string,
): Promise<string | null> {
  const listed = selectProjectRows(userId, 'anyone').where(
    (row) =>
      sql<boolean>`(
        ${row.ref('member.user_id')} = any(${row.ref('project.hidden_from_staff_profiles')})
      ) is not true`,
  )
  const found = await visibleProfiles(trx)
    .where('profile.user_id', '=', userId)
    .select(jsonText(jsonArrayFrom(listed)).as('body'))
    .executeTakeFirst()
  return found?.body ?? null
}
