import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { findActor, requirePermission } from './actor.ts'
import { Refusal } from './refusal.ts'

/** A row that only superusers change. */
export interface KeptRow {
  readonly table:
    | 'agencies_affiliation'
    | 'agencies_branch'
    | 'agencies_businessarea'
    | 'agencies_departmentalservice'
    | 'agencies_division'
    | 'users_user'
  /** What clients call it. */
  readonly thing: string
  readonly id: string
}

/**
 * Makes sure that whoever asks is a superuser.
 * @throws Refusal `unauthenticated` or `forbidden`.
 */
export async function requireSuperuser(trx: Transaction<Database>, userId: string): Promise<void> {
  const actor = await findActor(trx, userId)
  requirePermission(actor.isSuperuser)
}

/**
 * Locks a row for a change by a superuser.
 * @throws Refusal `unauthenticated`, `not_found` or `forbidden`.
 */
export async function lockForSuperuser(
  trx: Transaction<Database>,
  { table, thing, id }: KeptRow,
  userId: string,
): Promise<void> {
  const row = await trx
    .selectFrom(table)
    .select('id')
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  const actor = await findActor(trx, userId)
  if (!row) throw new Refusal('not_found', `${thing} ${id} not found`)
  requirePermission(actor.isSuperuser)
}
