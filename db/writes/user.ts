import { type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { type Actor, findActor, requirePermission } from './actor.ts'
import { differsFrom, isEmpty, type Patch } from './patch.ts'
import { revokeAllSessions } from './session-revocation.ts'
import { WriteError } from './write-error.ts'
import { constraintOf, sqlStateOf } from './transact.ts'

/** The columns that users may change of themselves. */
type OwnColumn =
  'username' | 'email' | 'first_name' | 'last_name' | 'display_first_name' | 'display_last_name'

/** The columns with the rights of a user; only superusers may change them. */
const FLAGS = ['is_superuser', 'is_staff', 'is_active', 'is_aec'] as const

/** Whether a column contains rights of a user. */
export const isFlag = (name: string): boolean => FLAGS.some((flag) => flag === name)

/** The columns that the user or a superuser may change. */
export type UserPatch = Patch<'users_user', OwnColumn | (typeof FLAGS)[number]>

/** A user whose row is locked. */
export interface LockedUser {
  readonly id: string
  readonly first_name: string | null
  readonly last_name: string | null
  readonly display_first_name: string | null
  readonly display_last_name: string | null
  readonly email: string | null
  readonly is_active: boolean
  /** The stored password hash, for comparison with the verified one. */
  readonly password: string
  /** The actor of the write: the user or a superuser. */
  readonly actor: Actor
}

/**
 * Locks a user for a change by the user or a superuser.
 * @throws WriteError `unauthenticated`, `forbidden`, or for superusers `not_found`.
 */
export async function lockUser(
  trx: Transaction<Database>,
  id: string,
  userId: string,
): Promise<LockedUser> {
  await findUserEditor(trx, id, userId)
  const user = await trx
    .selectFrom('users_user')
    .select(['id', 'first_name', 'last_name', 'display_first_name', 'display_last_name'])
    .select(['email', 'password', 'is_active'])
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  const actor = await findUserEditor(trx, id, userId)
  if (!user) throw new WriteError('not_found', `User ${id} not found`)
  return { ...user, actor }
}

async function findUserEditor(
  trx: Transaction<Database>,
  id: string,
  userId: string,
): Promise<Actor> {
  const actor = await findActor(trx, userId)
  requirePermission(actor.isSuperuser || actor.id === id)
  return actor
}

/**
 * Rejects columns that the actor may not write, even if the values do not change.
 * @throws WriteError `forbidden` for flags if the actor is not a superuser.
 */
export function requireColumns({ actor }: LockedUser, names: readonly string[]): void {
  requirePermission(actor.isSuperuser || !FLAGS.some((flag) => names.includes(flag)))
}

/**
 * Updates the columns in the patch, and fills empty display names. To change their own e-mail address,
 * users must give their password: `verifiedHash` is the hash that it matches.
 * @throws WriteError `forbidden` for flags unless the actor is a superuser, `invalid` without the
 * password, `conflict` if the user name or e-mail is taken.
 */
export async function updateUser(
  trx: Transaction<Database>,
  user: LockedUser,
  sent: UserPatch,
  verifiedHash: string | null = null,
): Promise<void> {
  requireColumns(user, Object.keys(definedOf(sent)))
  if (sent.email !== undefined && sent.email !== user.email) {
    if (user.id === user.actor.id && verifiedHash !== user.password) {
      const message = 'The current password is needed to change the e-mail address.'
      throw new WriteError('invalid', message, { fields: { current_password: [message] } })
    }
    await rejectTakenEmail(trx, user.id, sent.email ?? '')
  }
  const patch = withShownName(user, sent)
  if (isEmpty(patch)) return
  await trx
    .updateTable('users_user')
    .set(patch)
    .where('id', '=', user.id)
    .where(differsFrom(patch))
    .execute()
    .catch(rejectTakenName)
  if (patch.is_active === false && user.is_active) await revokeAllSessions(trx, user.id)
}

/**
 * Activates or deactivates a user; without `isActive` it toggles that. A deactivation revokes every
 * session, so that a later activation does not restore them.
 */
export async function toggleActive(
  trx: Transaction<Database>,
  id: string,
  isActive?: boolean,
): Promise<void> {
  const user = await trx
    .updateTable('users_user')
    .set({ is_active: isActive ?? sql`not is_active` })
    .where('id', '=', id)
    .returning('is_active')
    .executeTakeFirst()
  if (user?.is_active === false) await revokeAllSessions(trx, id)
}

/** Sets whether a user is a superuser; without `isSuperuser` it toggles that. */
export async function toggleSuperuser(
  trx: Transaction<Database>,
  id: string,
  isSuperuser?: boolean,
): Promise<void> {
  await trx
    .updateTable('users_user')
    .set({ is_superuser: isSuperuser ?? sql`not is_superuser` })
    .where('id', '=', id)
    .execute()
}

// Like Django on save: an empty display name is filled from the name.
function withShownName(user: LockedUser, patch: UserPatch): UserPatch {
  const { first_name, last_name, display_first_name, display_last_name } = {
    ...user,
    ...definedOf(patch),
  }
  return {
    ...patch,
    ...(!display_first_name && first_name && { display_first_name: first_name }),
    ...(!display_last_name && first_name && last_name && { display_last_name: last_name }),
  }
}

const definedOf = (patch: UserPatch): UserPatch =>
  Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined))

const EMAIL_TAKEN = 'user with this email already exists.'

/**
 * Rejects an e-mail address that another user than `id` has, ignoring case, since bearer tokens identify users by
 * address. The unique index is case-sensitive, so a lock on the address serializes writes.
 */
export async function rejectTakenEmail(
  trx: Transaction<Database>,
  id: string | null,
  email: string,
): Promise<void> {
  if (email === '') return
  const lower = email.toLowerCase()
  await sql`select pg_advisory_xact_lock(hashtextextended(${`spms e-mail ${lower}`}, 0))`.execute(
    trx,
  )
  const taken = await trx
    .selectFrom('users_user')
    .select('id')
    .where(sql<boolean>`lower(email) collate "C" in (${lower}, lower(${email}))`)
    .$if(id !== null, (users) => users.where('id', '!=', id))
    .executeTakeFirst()
  if (taken) throw new WriteError('conflict', EMAIL_TAKEN, { fields: { email: [EMAIL_TAKEN] } })
}

/**
 * Handles the error of a write that violates a unique index of users. The name of the index contains its
 * column, both in databases of Django and of this application.
 * @throws WriteError `conflict`, or the error if it is another one.
 */
export function rejectTakenName(error: unknown): never {
  // A violated primary key means that the sequence of ids is behind.
  if (sqlStateOf(error) !== '23505' || constraintOf(error)?.endsWith('_pkey')) throw error
  const [field, message] = constraintOf(error)?.includes('email')
    ? ['email', EMAIL_TAKEN]
    : ['username', 'A user with that username already exists.']
  throw new WriteError('conflict', message, { fields: { [field]: [message] }, cause: error })
}
