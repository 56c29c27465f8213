import { sql, type Transaction } from 'kysely'
import type { Database } from '../schema.ts'

/** Whose e-mail address it is, to the letter; null when it is nobody's. */
export async function findUserByEmail(
  trx: Transaction<Database>,
  email: string,
): Promise<string | null> {
  const user = await trx
    .selectFrom('users_user')
    .select('id')
    .where('email', '=', email)
    // The line above uses the index. A collation of the column may ignore case, and an entry's key does not.
    .where(sql<boolean>`email collate "C" = ${email}`)
    .executeTakeFirst()
  return user?.id ?? null
}
