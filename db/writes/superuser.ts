import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { type Actor, findActor, requirePermission } from './actor.ts'
import { WriteError } from './write-error.ts'

/** A row that only superusers may change. */
export interface KeptRow {
  readonly table:
    | 'agencies_affiliation'
    | 'agencies_branch'
    | 'agencies_businessarea'
    | 'agencies_departmentalservice'
    | 'agencies_division'
    | 'users_user'
  /** Name of the entity in error messages. */
  readonly entity: string
  readonly id: string
}

/**
 * Returns the actor, who must be a superuser.
 * @throws WriteError `unauthenticated` or `forbidden`.
 */
export async function requireSuperuser(trx: Transaction<Database>, userId: string): Promise<Actor> {
  const actor = await findActor(trx, userId)
  requirePermission(actor.isSuperuser)
  return actor
}

/**
 * Locks a row for a change by a superuser. For other users it locks nothing.
 * @throws WriteError `unauthenticated`, `forbidden`, or for superusers `not_found`.
 */
export async function lockForSuperuser(
  trx: Transaction<Database>,
  { table, entity, id }: KeptRow,
  userId: string,
): Promise<void> {
  await requireSuperuser(trx, userId)
  const row = await trx
    .selectFrom(table)
    .select('id')
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  await requireSuperuser(trx, userId)
  if (!row) throw new WriteError('not_found', `${entity} ${id} not found`)
}
