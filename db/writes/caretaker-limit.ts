import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { WriteError } from './write-error.ts'

/** How many may act for one user, and for how many one may act. Every page of a user shows them. */
export const MAX_RELATIONS = 50

/**
 * Makes sure that neither of two users, who are locked, has too many relations for one more.
 * @throws WriteError `conflict`.
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
