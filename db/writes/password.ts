import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { findActor } from './actor.ts'
import { WriteError } from './write-error.ts'

/** The verified hash of a user's password, and its replacement. */
export interface PasswordChange {
  readonly userId: string
  readonly from: string
  readonly to: string
}

/**
 * Replaces a password hash if the stored one is still the verified one.
 * @throws WriteError `unauthenticated`, or `conflict` if the password was changed in the meantime.
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
