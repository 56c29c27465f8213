import { type Selectable, type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { requireTwo } from './caretaker.ts'
import { lockProjectRow } from './project.ts'
import { rejectReference, requireUsers } from './reference.ts'
import { WriteError } from './write-error.ts'
import { lockUsers } from './user-locks.ts'
import { lockForMerge, type UserMerge } from './user-merge.ts'

/** What a request to administrators is about. */
export type Subject =
  | { readonly action: 'deleteproject'; readonly projectId: string }
  | ({ readonly action: 'mergeuser' } & UserMerge)
  | { readonly action: 'setcaretaker'; readonly coveredId: string; readonly caretakerId: string }

type Row = Selectable<Database['adminoptions_admintask']>

/** What a stored request is about; null when that is gone. */
export function subjectOf({
  action,
  project_id,
  primary_user_id,
  secondary_users,
}: Row): Subject | null {
  if (action === 'deleteproject')
    return project_id === null ? null : { action, projectId: project_id }
  const others = idsIn(secondary_users)
  const [first] = others
  if (primary_user_id === null || first === undefined) return null
  if (action === 'mergeuser') return { action, primaryId: primary_user_id, secondaryIds: others }
  if (action !== 'setcaretaker') return null
  return { action, coveredId: primary_user_id, caretakerId: first }
}

// The list is JSON of any shape, and its ids are of users who may be gone.
const idsIn = (list: unknown): string[] =>
  Array.isArray(list) ? list.map(String).filter((id) => /^\d{1,18}$/.test(id)) : []

/** Whether a stored request names a user: its requester, or somebody it is about. */
export const namesUser = (
  { requester_id, primary_user_id, secondary_users }: Row,
  userId: string,
): boolean => [requester_id, primary_user_id, ...idsIn(secondary_users)].includes(userId)

/** How a request stores what it is about. */
export function columnsOf(subject: Subject) {
  const [primary = null, ...others] = usersOf(subject)
  return {
    action: subject.action,
    project_id: subject.action === 'deleteproject' ? subject.projectId : null,
    primary_user_id: primary,
    secondary_users: primary === null ? null : `[${others.join(',')}]`,
  }
}

/** Whom a request is about: first the one who is covered, or who is to stay. */
function usersOf(subject: Subject): string[] {
  if (subject.action === 'mergeuser') return [subject.primaryId, ...subject.secondaryIds]
  if (subject.action === 'setcaretaker') return [subject.coveredId, subject.caretakerId]
  return []
}

/**
 * Locks what keeps two requests for the same apart. Whom a merge would remove is only locked when it
 * is done: until then every user may request one.
 */
export async function lockRequest(trx: Transaction<Database>, subject: Subject): Promise<void> {
  if (subject.action === 'deleteproject') await lockProjectRow(trx, subject.projectId)
  else if (subject.action === 'mergeuser') await lockUsers(trx, [subject.primaryId])
  else await lockUsers(trx, usersOf(subject))
}

/** Locks what a request is about, so that it can be done. */
export async function lockSubject(trx: Transaction<Database>, subject: Subject): Promise<void> {
  if (subject.action === 'deleteproject') await lockProjectRow(trx, subject.projectId)
  else if (subject.action === 'mergeuser') await lockForMerge(trx, subject)
  else await lockUsers(trx, usersOf(subject))
}

/**
 * Makes sure that what a new request is about is there, and makes sense.
 * @throws WriteError `invalid`, naming the field.
 */
export async function requireSubject(trx: Transaction<Database>, subject: Subject): Promise<void> {
  if (subject.action === 'deleteproject') {
    if (!(await isWhole(trx, subject))) rejectReference('project', subject.projectId)
    return
  }
  const [primary, ...others] = usersOf(subject)
  await requireUsers(trx, { primary_user: [primary], secondary_users: others })
  if (subject.action === 'setcaretaker') requireTwo(subject.coveredId, subject.caretakerId)
  else requireOthers(subject)
}

function requireOthers({ primaryId, secondaryIds }: UserMerge): void {
  if (!secondaryIds.includes(primaryId)) return
  const message = 'Primary user cannot also be a secondary user.'
  throw new WriteError('invalid', message, { fields: { non_field_errors: [message] } })
}

/** Whether all that a request is about is there. */
export async function isWhole(trx: Transaction<Database>, subject: Subject): Promise<boolean> {
  const [table, ids] =
    subject.action === 'deleteproject'
      ? (['projects_project', [subject.projectId]] as const)
      : (['users_user', usersOf(subject)] as const)
  const found = await trx
    .selectFrom(table)
    .select('id')
    .where(sql<boolean>`id = any(${ids}::bigint[])`)
    .execute()
  return found.length === new Set(ids).size
}
