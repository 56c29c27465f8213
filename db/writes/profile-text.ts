import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { lockUser } from './user.ts'
import { WriteError } from './write-error.ts'

/**
 * Locks a user and their staff profile for a change by the user or a superuser, and returns the id of the
 * profile.
 * @throws WriteError `unauthenticated`, `forbidden` or `not_found`.
 */
export async function lockOwnProfile(
  trx: Transaction<Database>,
  id: string,
  userId: string,
): Promise<string> {
  await lockUser(trx, id, userId)
  const profile = await trx
    .selectFrom('users_publicstaffprofile')
    .select('id')
    .where('user_id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  if (profile) return profile.id
  const message = 'User has no staff profile'
  throw new WriteError('not_found', message, { fields: { error: message } })
}
