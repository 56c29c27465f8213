import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { type Actor, findActor, requirePermission } from './actor.ts'
import { changedAt, differsFrom, type Patch } from './patch.ts'
import { requireReference } from './reference.ts'
import { Refusal } from './refusal.ts'
import { refuseDuplicate } from './unique.ts'
import { lockUsers } from './user-locks.ts'

/** What may be changed of a caretaker: for how long, and what is said about it. */
export type CaretakerPatch = Patch<'caretakers_caretaker', 'end_date' | 'reason' | 'notes'>

/** Who acts for whom, as it is first written. */
export interface NewCaretaker {
  /** The person who is covered. */
  readonly user_id: string
  /** The person who acts. */
  readonly caretaker_id: string
  readonly end_date: Date | null
  readonly reason: string | null
  readonly notes: string | null
}

/** Locks two people, one of whom is to act for the other. */
export async function lockParties(
  trx: Transaction<Database>,
  { user_id, caretaker_id }: NewCaretaker,
): Promise<void> {
  await lockUsers(trx, [user_id, caretaker_id])
}

/**
 * Locks a caretaker's row for one of the two people or a superuser.
 * @throws Refusal `unauthenticated`, `not_found` or `forbidden`.
 */
export async function lockCaretaker(
  trx: Transaction<Database>,
  id: string,
  userId: string,
): Promise<void> {
  const relation = await trx
    .selectFrom('caretakers_caretaker')
    .select(['user_id', 'caretaker_id'])
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  const actor = await findActor(trx, userId)
  if (!relation) throw new Refusal('not_found', `Caretaker ${id} not found`)
  requireParty(actor, relation)
}

/** Refuses an actor who is neither of the two people nor a superuser. */
export function requireParty(
  actor: Actor,
  { user_id, caretaker_id }: Pick<NewCaretaker, 'user_id' | 'caretaker_id'>,
): void {
  requirePermission(actor.isSuperuser || [user_id, caretaker_id].includes(actor.id))
}

/**
 * Lets one person act for another; both are locked. Returns the id.
 * @throws Refusal `invalid` for somebody unknown or the same person, `conflict` if they do already.
 */
export async function insertCaretaker(
  trx: Transaction<Database>,
  caretaker: NewCaretaker,
): Promise<string> {
  const { user_id, caretaker_id } = caretaker
  requireTwo(user_id, caretaker_id)
  await requireReference(trx, 'users_user', 'user', user_id)
  await requireReference(trx, 'users_user', 'caretaker', caretaker_id)
  const { id } = await trx
    .insertInto('caretakers_caretaker')
    .values({ ...caretaker, created_at: changedAt, updated_at: changedAt })
    .returning('id')
    .executeTakeFirstOrThrow()
    .catch(refuseDuplicate('user', 'caretaker'))
  return id
}

/** Refuses who would act for themselves. */
export function requireTwo(userId: string, caretakerId: string): void {
  if (userId !== caretakerId) return
  const message = 'Cannot caretake for yourself'
  throw new Refusal('invalid', message, { fields: { non_field_errors: [message] } })
}

/** Writes the columns that were sent, and no other. */
export async function updateCaretaker(
  trx: Transaction<Database>,
  id: string,
  patch: CaretakerPatch,
): Promise<void> {
  await trx
    .updateTable('caretakers_caretaker')
    .set({ ...patch, updated_at: changedAt })
    .where('id', '=', id)
    .where(differsFrom(patch))
    .execute()
}

/** Ends that one person acts for another, without a trace. */
export async function deleteCaretaker(trx: Transaction<Database>, id: string): Promise<void> {
  await trx.deleteFrom('caretakers_caretaker').where('id', '=', id).execute()
}
