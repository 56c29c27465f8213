import type { Kysely } from 'kysely'
import type { Database } from '../schema.ts'

/** Returns the user id of a staff profile's owner; null if the profile does not exist. */
export async function findProfileOwner(
  trx: Kysely<Database>,
  profileId: string,
): Promise<string | null> {
  const profile = await trx
    .selectFrom('users_publicstaffprofile')
    .select('user_id')
    .where('id', '=', profileId)
    .executeTakeFirst()
  return profile?.user_id ?? null
}
