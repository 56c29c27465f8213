import type { Transaction } from 'kysely'
import type { Database } from '../../db/schema.ts'
import { type Actor, findActor } from '../../db/writes/actor.ts'
import { type KeptRow, lockForSuperuser, requireSuperuser } from '../../db/writes/superuser.ts'
import type { User } from '../http/authenticate.ts'

/** The relations of users to what a request names. */
export const EVERY_ROLE = [
  'user',
  'member',
  'leader',
  'owner',
  'requester',
  'covered',
  'caretaker',
  'staff',
  'superuser',
] as const

/** A relation of a user to what a request names; `user` stands for no relation. */
export type Role = (typeof EVERY_ROLE)[number]

/** The users whom a rule allows. */
export interface AllowedUsers {
  /** The allowed users, as the OpenAPI document describes them. */
  readonly description: string
  /** The roles that at least one request of the endpoint allows. */
  readonly roles: readonly Role[]
}

/** Access without a log-in. */
export const anyone = { kind: 'anyone' } as const
/** Access for every logged-in user. */
export const user = { kind: 'user' } as const

export type Anyone = typeof anyone
export type LoggedIn = typeof user

/** The input of a rule of a write. */
export interface WriteRequest<Params> {
  readonly params: Params
  readonly userId: string
  /** The body, not validated yet. */
  readonly sent: unknown
}

/** A rule that the transaction of a write enforces. */
export interface WriteRule<Params, Granted> extends AllowedUsers {
  readonly kind: 'write rule'
  /**
   * Decides about access before the body is validated. It may also lock the rows that the path names; it
   * then decides again after the lock. Returns the facts about the user and the rows that the write needs.
   * @throws WriteError `unauthenticated`, `forbidden` or `not_found`.
   */
  readonly enforce: (trx: Transaction<Database>, request: WriteRequest<Params>) => Promise<Granted>
}

/** A rule that a read enforces before its query. */
export interface ReadRule<Params> extends AllowedUsers {
  readonly kind: 'read rule'
  /** @throws PublicError `not_found`: a read does not reveal what the user may not see. */
  readonly enforce: (user: User, params: Params) => void
}

/** The access to an endpoint. */
export type Access =
  Anyone | LoggedIn | (AllowedUsers & { readonly kind: 'write rule' | 'read rule' })

/** Creates a rule of a write. */
export const writeRule = <Params, Granted>(
  rule: Omit<WriteRule<Params, Granted>, 'kind'>,
): WriteRule<Params, Granted> => ({ kind: 'write rule', ...rule })

/** The parameter of a path with one id. */
export interface Id {
  readonly id: string
}

/** Creates a rule of a write to the entity whose id is in the path. */
export const ruleById = <Granted>(
  allowed: AllowedUsers,
  enforce: (trx: Transaction<Database>, id: string, userId: string) => Promise<Granted>,
): WriteRule<Id, Granted> =>
  writeRule({ ...allowed, enforce: (trx, { params, userId }) => enforce(trx, params.id, userId) })

/** Creates a rule of a read. */
export const readRule = <Params>(rule: Omit<ReadRule<Params>, 'kind'>): ReadRule<Params> => ({
  kind: 'read rule',
  ...rule,
})

/** Access of a write for every user whose account is active. */
export const activeUser = writeRule({
  description: 'all users',
  roles: EVERY_ROLE,
  enforce: (trx, { userId }: WriteRequest<unknown>): Promise<Actor> => findActor(trx, userId),
})

const SUPERUSERS: AllowedUsers = { description: 'superusers', roles: ['superuser'] }

/** Access for superusers. */
export const superuser = writeRule({
  ...SUPERUSERS,
  enforce: (trx, { userId }: WriteRequest<unknown>): Promise<Actor> =>
    requireSuperuser(trx, userId),
})

/** Access for superusers, and a lock of the row whose id is in the path. */
export const superuserOf = (table: KeptRow['table'], entity: string) =>
  ruleById(SUPERUSERS, (trx, id, userId) => lockForSuperuser(trx, { table, entity, id }, userId))
