import { type Selectable, type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { rejectOwnCaretaker } from './caretaker.ts'
import { lockProjectRow } from './project.ts'
import { rejectReference, requireUsers } from './reference.ts'
import { WriteError } from './write-error.ts'
import { lockUsers } from './user-locks.ts'
import { lockForMerge, type UserMerge } from './user-merge.ts'

/** The subject of an admin task. */
export type Subject =
  | { readonly action: 'deleteproject'; readonly projectId: string }
  | ({ readonly action: 'mergeuser' } & UserMerge)
  | { readonly action: 'setcaretaker'; readonly coveredId: string; readonly caretakerId: string }

type Row = Selectable<Database['adminoptions_admintask']>

/** Returns the subject of a stored admin task; null if its project or users were deleted. */
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

// The column is JSON of any shape, and its users may have been deleted.
const idsIn = (list: unknown): string[] =>
  Array.isArray(list) ? list.map(String).filter((id) => /^\d{1,18}$/.test(id)) : []

/** Whether a user is the requester, the primary user or a secondary user of a stored admin task. */
export const namesUser = (
  { requester_id, primary_user_id, secondary_users }: Row,
  userId: string,
): boolean => [requester_id, primary_user_id, ...idsIn(secondary_users)].includes(userId)

/** Returns the columns that store the subject of an admin task. */
export function columnsOf(subject: Subject) {
  const [primary = null, ...others] = usersOf(subject)
  return {
    action: subject.action,
    project_id: subject.action === 'deleteproject' ? subject.projectId : null,
    primary_user_id: primary,
    secondary_users: primary === null ? null : `[${others.join(',')}]`,
  }
}

/** Returns the users of a subject; the first is the covered user, or the one that a merge keeps. */
function usersOf(subject: Subject): string[] {
  if (subject.action === 'mergeuser') return [subject.primaryId, ...subject.secondaryIds]
  if (subject.action === 'setcaretaker') return [subject.coveredId, subject.caretakerId]
  return []
}

/**
 * Locks rows so that concurrent transactions cannot insert equal admin tasks. The users that a merge
 * would delete are not locked, since every user may request a merge.
 */
export async function lockRequest(trx: Transaction<Database>, subject: Subject): Promise<void> {
  if (subject.action === 'deleteproject') await lockProjectRow(trx, subject.projectId)
  else if (subject.action === 'mergeuser') await lockUsers(trx, [subject.primaryId])
  else await lockUsers(trx, usersOf(subject))
}

/** Locks all rows of a subject, so that the task can be executed. */
export async function lockSubject(trx: Transaction<Database>, subject: Subject): Promise<void> {
  if (subject.action === 'deleteproject') await lockProjectRow(trx, subject.projectId)
  else if (subject.action === 'mergeuser') await lockForMerge(trx, subject)
  else await lockUsers(trx, usersOf(subject))
}

/**
 * Checks that the subject of a new admin task exists and is valid.
 * @throws WriteError `invalid` with the name of the field.
 */
export async function requireSubject(trx: Transaction<Database>, subject: Subject): Promise<void> {
  if (subject.action === 'deleteproject') {
    if (!(await subjectExists(trx, subject))) rejectReference('project', subject.projectId)
    return
  }
  const [primary, ...others] = usersOf(subject)
  await requireUsers(trx, { primary_user: [primary], secondary_users: others })
  if (subject.action === 'setcaretaker') rejectOwnCaretaker(subject.coveredId, subject.caretakerId)
  else rejectPrimaryAmongSecondary(subject)
}

function rejectPrimaryAmongSecondary({ primaryId, secondaryIds }: UserMerge): void {
  if (!secondaryIds.includes(primaryId)) return
  const message = 'Primary user cannot also be a secondary user.'
  throw new WriteError('invalid', message, { fields: { non_field_errors: [message] } })
}

/** Whether the project or all users of a subject exist. */
export async function subjectExists(
  trx: Transaction<Database>,
  subject: Subject,
): Promise<boolean> {
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
