import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { type Actor, findActor, requirePermission } from './actor.ts'
import { requireFewRelations } from './caretaker-limit.ts'
import { decideTwice } from './decide-twice.ts'
import { changedAt, differsFrom, type Patch } from './patch.ts'
import { requireReference } from './reference.ts'
import { WriteError } from './write-error.ts'
import { rejectDuplicate } from './unique.ts'
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

/** The two users of a relation. */
export type Parties = Pick<NewCaretaker, 'user_id' | 'caretaker_id'>

/** The actor of a write, and the user whose pending request the write accepts, if there is one. */
export interface Consent {
  readonly actor: Actor
  readonly requesterId?: string | null
}

/** Whether the actor is the covered user or a superuser: they alone can consent to a caretaker. */
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

/** A caretaker's row that is locked, and the actor of the write. */
export interface LockedCaretaker extends Parties {
  readonly id: string
  readonly end_date: Date | null
  readonly actor: Actor
}

/**
 * Locks a caretaker's row for one of the two people or a superuser.
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
 * Lets one person act for another; both are locked. Returns the id.
 * @throws WriteError `forbidden` without consent, `invalid` for somebody unknown or the same person,
 * `conflict` if they do already.
 */
export async function insertCaretaker(
  trx: Transaction<Database>,
  caretaker: NewCaretaker,
  consent: Consent,
): Promise<string> {
  const { user_id, caretaker_id } = caretaker
  if (!hasConsent(caretaker, consent)) throw new WriteError('forbidden', NO_CONSENT)
  requireTwo(user_id, caretaker_id)
  await requireReference(trx, 'users_user', 'user', user_id)
  await requireReference(trx, 'users_user', 'caretaker', caretaker_id)
  await requireFewRelations(trx, user_id, caretaker_id)
  const { id } = await trx
    .insertInto('caretakers_caretaker')
    .values({ ...caretaker, created_at: changedAt, updated_at: changedAt })
    .returning('id')
    .executeTakeFirstOrThrow()
    .catch(rejectDuplicate('user', 'caretaker'))
  return id
}

/** Refuses who would act for themselves. */
export function requireTwo(userId: string, caretakerId: string): void {
  if (userId !== caretakerId) return
  const message = 'Cannot caretake for yourself'
  throw new WriteError('invalid', message, { fields: { non_field_errors: [message] } })
}

/**
 * Writes the columns that were sent, and no other.
 * @throws WriteError `forbidden` where the relation would last longer without consent to that.
 */
export async function updateCaretaker(
  trx: Transaction<Database>,
  relation: LockedCaretaker,
  patch: CaretakerPatch,
): Promise<void> {
  const isConsented = canConsent(relation.actor, relation.user_id)
  if (!isConsented && lastsLonger(relation, patch)) throw new WriteError('forbidden', NO_CONSENT)
  await trx
    .updateTable('caretakers_caretaker')
    .set({ ...patch, updated_at: changedAt })
    .where('id', '=', relation.id)
    .where(differsFrom(patch))
    .execute()
}

/** Ends that one person acts for another, without a trace. */
export async function deleteCaretaker(trx: Transaction<Database>, id: string): Promise<void> {
  await trx.deleteFrom('caretakers_caretaker').where('id', '=', id).execute()
}

const NO_CONSENT = 'Only the covered user or a superuser can consent to a caretaker.'

/** Without an end date a relation lasts for ever, as it does where Postgres holds `infinity`. */
function lastsLonger({ end_date: now }: LockedCaretaker, { end_date: sent }: CaretakerPatch) {
  if (sent === undefined || now === null) return false
  return sent === null || Number(new Date(sent)) > Number(now)
}
