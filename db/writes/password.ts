import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { findActor } from './actor.ts'
import { WriteError } from './write-error.ts'

/** The hash of a user's password, and the one that is to take its place. */
export interface PasswordChange {
  readonly userId: string
  readonly from: string
  readonly to: string
}

/**
 * Replaces the hash that was verified, and no other.
 * @throws WriteError `unauthenticated`, or `conflict` when the password has been changed meanwhile.
 */
export async function replacePassword(
  trx: Transaction<Database>,
  { userId, from, to }: PasswordChange,
): Promise<void> {
  const user = await trx
    .selectFrom('users_user')
    .select('password')
    .where('id', '=', userId)
    .forUpdate()
    .executeTakeFirst()
  await findActor(trx, userId)
  if (user?.password !== from) {
    throw new WriteError('conflict', 'The password has just been changed. Try again.')
  }
  await trx.updateTable('users_user').set({ password: to }).where('id', '=', userId).execute()
}
