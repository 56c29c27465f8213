import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { WriteError } from './write-error.ts'

/** Whoever asks for a write, as the database knows them now. */
export interface Actor {
  readonly id: string
  readonly isSuperuser: boolean
}

/**
 * Finds who asks for a write; to be called once its rows are locked, since much may happen while
 * it waits for them. The actor's row is only read: a demotion that commits after this could as
 * well have come after the write, and a log-in should not wait for one.
 * @throws WriteError `unauthenticated` when the account is gone or no longer active.
 */
export async function findActor(trx: Transaction<Database>, userId: string): Promise<Actor> {
  const user = await trx
    .selectFrom('users_user')
    .select(['id', 'is_superuser'])
    .where('id', '=', userId)
    .where('is_active', '=', true)
    .executeTakeFirst()
  if (!user)
    throw new WriteError('unauthenticated', 'Authentication credentials were not provided.')
  return { id: user.id, isSuperuser: user.is_superuser }
}

/** @throws WriteError `forbidden` unless permission is given. */
export function requirePermission(isGiven: boolean): void {
  if (isGiven) return
  throw new WriteError('forbidden', 'You do not have permission to perform this action.')
}
