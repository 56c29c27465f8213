import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { WriteError } from './write-error.ts'

/** The user who requests a write, as currently stored. */
export interface Actor {
  readonly id: string
  readonly isSuperuser: boolean
}

/**
 * Returns the user who requests a write. Call it after the rows of the write are locked, since rights
 * may change during the wait. The actor's row is not locked, so that log-ins do not wait. A demotion
 * that commits later could equally have come after the write.
 * @throws WriteError `unauthenticated` if the account was deleted or is inactive.
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

/** @throws WriteError `forbidden` unless `isGiven`. */
export function requirePermission(isGiven: boolean): void {
  if (isGiven) return
  throw new WriteError('forbidden', 'You do not have permission to perform this action.')
}
