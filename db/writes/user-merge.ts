import { type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { changedAt } from './patch.ts'
import { deleteUser, handOver } from './user-deletion.ts'
import { lockUsersWhole } from './user-locks.ts'

/** Several accounts of one person; the primary one is kept. */
export interface UserMerge {
  readonly primaryId: string
  readonly secondaryIds: readonly string[]
}

/** Locks the users of a merge, and the projects that it changes. */
export async function lockForMerge(
  trx: Transaction<Database>,
  { primaryId, secondaryIds }: UserMerge,
): Promise<void> {
  await lockUsersWhole(trx, [primaryId, ...secondaryIds])
  await trx
    .selectFrom('projects_project')
    .select('id')
    .where(
      sql<boolean>`(
        id in (select project_id from projects_projectmember where user_id = any(${secondaryIds}::bigint[]))
        or hidden_from_staff_profiles::bigint[] && ${secondaryIds}::bigint[]
      )`,
    )
    .orderBy('id')
    .forUpdate()
    .execute()
}

/**
 * Merges locked users into the primary one and deletes the others. Memberships, mailings and references
 * from shared rows (`SHARED` of user-deletion.ts) move to the primary user. Rows that describe the others
 * (`OWNED`) are deleted.
 */
export async function mergeUsers(
  trx: Transaction<Database>,
  { primaryId, secondaryIds }: UserMerge,
): Promise<void> {
  for (const secondaryId of secondaryIds) {
    const pair = { from: secondaryId, to: primaryId }
    await mergeMemberships(trx, pair)
    await mergeHidden(trx, pair)
    await mergeMailings(trx, pair)
    await handOver(trx, secondaryId, primaryId)
    await deleteUser(trx, secondaryId)
  }
}

interface Pair {
  readonly from: string
  readonly to: string
}

// Roles in projects that the primary user, as staff or as external, takes over from the other account.
const STAFF_ROLES = ['research', 'technical']
const OUTSIDE_ROLES = [
  'externalcol',
  'externalpeer',
  'academicsuper',
  'student',
  'consulted',
  'group',
]

async function mergeMemberships(trx: Transaction<Database>, { from, to }: Pair): Promise<void> {
  await sql`
    update projects_projectmember as kept set
      role = case
        when 'supervising' in (kept.role, merged.role) then 'supervising'
        when merged.role = any(
          case when person.is_staff then ${STAFF_ROLES}::text[] else ${OUTSIDE_ROLES}::text[] end
        ) then merged.role
        else kept.role
      end,
      is_leader = kept.is_leader or merged.is_leader,
      updated_at = ${changedAt}
    from projects_projectmember as merged, users_user as person
    where kept.user_id = ${to} and person.id = kept.user_id
      and merged.user_id = ${from} and merged.project_id = kept.project_id`.execute(trx)
  await sql`
    update projects_projectmember as moved set user_id = ${to}, updated_at = ${changedAt}
    where user_id = ${from} and not exists (
      select from projects_projectmember as kept
      where kept.project_id = moved.project_id and kept.user_id = ${to}
    )`.execute(trx)
}

// A project that one of the accounts has hidden from its staff profile stays hidden.
async function mergeHidden(trx: Transaction<Database>, { from, to }: Pair): Promise<void> {
  await sql`
    update projects_project set
      hidden_from_staff_profiles = case
        when ${to}::bigint = any(hidden_from_staff_profiles)
          then array_remove(hidden_from_staff_profiles, ${from}::integer)
        else array_replace(hidden_from_staff_profiles, ${from}::integer, ${to}::integer)
      end,
      updated_at = ${changedAt}
    where ${from}::bigint = any(hidden_from_staff_profiles)`.execute(trx)
}

async function mergeMailings(trx: Transaction<Database>, { from, to }: Pair): Promise<void> {
  await sql`
    update agencies_division_directorate_email_list as moved set user_id = ${to}
    where user_id = ${from} and not exists (
      select from agencies_division_directorate_email_list as kept
      where kept.division_id = moved.division_id and kept.user_id = ${to}
    )`.execute(trx)
}
