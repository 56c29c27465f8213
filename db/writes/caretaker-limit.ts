import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { WriteError } from './write-error.ts'

/** Maximum number of a user's caretakers, and of users that one covers. A user's page shows all. */
export const MAX_RELATIONS = 50

/**
 * Checks that each of two locked users may have one more relation.
 * @throws WriteError `conflict` if one has the maximum.
 */
export async function requireFewRelations(
  trx: Transaction<Database>,
  userId: string,
  caretakerId: string,
): Promise<void> {
  for (const [column, id, message] of [
    ['user_id', userId, `A user has at most ${MAX_RELATIONS} caretakers`],
    ['caretaker_id', caretakerId, `A user is caretaker of at most ${MAX_RELATIONS} others`],
  ] as const) {
    const { count } = await trx
      .selectFrom('caretakers_caretaker')
      .select(({ fn }) => fn.countAll<string>().as('count'))
      .where(column, '=', id)
      .executeTakeFirstOrThrow()
    if (Number(count) >= MAX_RELATIONS) throw new WriteError('conflict', message)
  }
}
