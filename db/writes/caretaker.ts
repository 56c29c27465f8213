import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { type Actor, findActor, requirePermission } from './actor.ts'
import { requireFewRelations } from './caretaker-limit.ts'
import { decideTwice } from './decide-twice.ts'
import { insertRow } from './insert-row.ts'
import type { Patch } from './patch.ts'
import { requireReference } from './reference.ts'
import { rejectDuplicate } from './unique.ts'
import { updateRow } from './update-row.ts'
import { WriteError } from './write-error.ts'
import { lockUsers } from './user-locks.ts'

/** The columns of a caretaker relation that may be changed. */
export type CaretakerPatch = Patch<'caretakers_caretaker', 'end_date' | 'reason' | 'notes'>

/** A caretaker relation to be inserted. */
export interface NewCaretaker {
  /** The covered user. */
  readonly user_id: string
  /** The caretaker. */
  readonly caretaker_id: string
  readonly end_date: Date | null
  readonly reason: string | null
  readonly notes: string | null
}

/** Locks the two users of a caretaker relation. */
export async function lockParties(
  trx: Transaction<Database>,
  { user_id, caretaker_id }: NewCaretaker,
): Promise<void> {
  await lockUsers(trx, [user_id, caretaker_id])
}

/** The two users of a relation. */
export type Parties = Pick<NewCaretaker, 'user_id' | 'caretaker_id'>

/** The actor of a write, and the user whose pending request the write accepts, if there is one. */
export interface Consent {
  readonly actor: Actor
  readonly requesterId?: string | null
}

/** Whether the actor is the covered user or a superuser: only these can consent to a caretaker. */
export const canConsent = (actor: Actor, coveredId: string): boolean =>
  actor.isSuperuser || actor.id === coveredId

/**
 * Whether a relation has the consent of the covered user or of a superuser: one of them acts, or the
 * requested caretaker accepts what the covered user requested.
 */
export const hasConsent = (
  { user_id, caretaker_id }: Parties,
  { actor, requesterId }: Consent,
): boolean => canConsent(actor, user_id) || (requesterId === user_id && actor.id === caretaker_id)

/** A locked caretaker relation, and the actor of the write. */
export interface LockedCaretaker extends Parties {
  readonly id: string
  readonly end_date: Date | null
  readonly actor: Actor
}

/**
 * Locks a caretaker relation for one of its two users or a superuser.
 * @throws WriteError `unauthenticated`, `not_found` or `forbidden`.
 */
export async function lockCaretaker(
  trx: Transaction<Database>,
  id: string,
  userId: string,
): Promise<LockedCaretaker> {
  const relations = trx
    .selectFrom('caretakers_caretaker')
    .select(['id', 'user_id', 'caretaker_id', 'end_date'])
    .where('id', '=', id)
  return decideTwice(
    async () => {
      const actor = await findActor(trx, userId)
      const relation = await relations.executeTakeFirst()
      if (!relation) throw new WriteError('not_found', `Caretaker ${id} not found`)
      const { user_id, caretaker_id } = relation
      requirePermission(actor.isSuperuser || [user_id, caretaker_id].includes(actor.id))
      return { ...relation, actor }
    },
    () => relations.forUpdate().execute(),
  )
}

/**
 * Inserts a caretaker relation between two locked users, and returns its id.
 * @throws WriteError `forbidden` without consent, `invalid` if a user does not exist or both are the
 * same, `conflict` if the relation exists already.
 */
export async function insertCaretaker(
  trx: Transaction<Database>,
  caretaker: NewCaretaker,
  consent: Consent,
): Promise<string> {
  const { user_id, caretaker_id } = caretaker
  if (!hasConsent(caretaker, consent)) throw new WriteError('forbidden', NO_CONSENT)
  rejectOwnCaretaker(user_id, caretaker_id)
  await requireReference(trx, 'users_user', 'user', user_id)
  await requireReference(trx, 'users_user', 'caretaker', caretaker_id)
  await requireFewRelations(trx, user_id, caretaker_id)
  return insertRow(trx, 'caretakers_caretaker', caretaker).catch(
    rejectDuplicate('user', 'caretaker'),
  )
}

/** @throws WriteError `invalid` if both are the same user. */
export function rejectOwnCaretaker(userId: string, caretakerId: string): void {
  if (userId !== caretakerId) return
  const message = 'Cannot caretake for yourself'
  throw new WriteError('invalid', message, { fields: { non_field_errors: [message] } })
}

/**
 * Updates only the columns in the patch.
 * @throws WriteError `forbidden` if the relation would last longer without consent.
 */
export async function updateCaretaker(
  trx: Transaction<Database>,
  relation: LockedCaretaker,
  patch: CaretakerPatch,
): Promise<void> {
  const isConsented = canConsent(relation.actor, relation.user_id)
  if (!isConsented && lastsLonger(relation, patch)) throw new WriteError('forbidden', NO_CONSENT)
  await updateRow(trx, 'caretakers_caretaker', relation.id, patch)
}

/** Deletes a caretaker relation. */
export async function deleteCaretaker(trx: Transaction<Database>, id: string): Promise<void> {
  await trx.deleteFrom('caretakers_caretaker').where('id', '=', id).execute()
}

const NO_CONSENT = 'Only the covered user or a superuser can consent to a caretaker.'

/** A relation without an end date, or with `infinity`, never ends. */
function lastsLonger({ end_date: now }: LockedCaretaker, { end_date: sent }: CaretakerPatch) {
  if (sent === undefined || now === null) return false
  return sent === null || Number(new Date(sent)) > Number(now)
}
