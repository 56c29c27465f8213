import type { Kysely } from 'kysely'
import type { Database } from '../schema.ts'
import type { Viewer } from './fragments/viewer.ts'

/** Returns a user with the rights that the database grants now. */
export async function findViewer(trx: Kysely<Database>, userId: string): Promise<Viewer> {
  const found = await trx
    .selectFrom('users_user')
    .select('is_superuser')
    .where('id', '=', userId)
    .executeTakeFirst()
  return { userId, isSuperuser: found?.is_superuser === true }
}
