import type { Kysely } from 'kysely'
import type { Database } from '../schema.ts'

/** The id of the person whose staff profile this is; null without such a profile. */
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
