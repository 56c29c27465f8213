import { sql, type Transaction } from 'kysely'
import type { Database } from '../schema.ts'

/** Returns the user with exactly this e-mail address, or null. */
export async function findUserByEmail(
  trx: Transaction<Database>,
  email: string,
): Promise<string | null> {
  const user = await trx
    .selectFrom('users_user')
    .select('id')
    .where('email', '=', email)
    // The condition above uses the index. The column's collation may ignore case; entry keys do not.
    .where(sql<boolean>`email collate "C" = ${email}`)
    .executeTakeFirst()
  return user?.id ?? null
}
