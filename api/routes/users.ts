import type { Request } from 'express'
import { z } from 'zod'
import { checkStaffProfile } from '../../db/queries/staff-profile-check.ts'
import { findOwnStaffProfile } from '../../db/queries/staff-profile.ts'
import { findFilesOfUsers } from '../../db/queries/owned-files.ts'
import { findIsStaff, findUser } from '../../db/queries/user.ts'
import { deleteUser } from '../../db/writes/user-deletion.ts'
import {
  isFlag,
  lockUser,
  requireColumns,
  toggleActive,
  toggleSuperuser,
  updateUser,
  type UserPatch,
} from '../../db/writes/user.ts'
import { PublicError } from '../../shared/errors.ts'
import { userMe, userProfile } from '../../shared/resources/index.ts'
import { staffProfileCheck } from '../../shared/shapes/staff-profile-check.ts'
import { privateStaffProfile } from '../../shared/shapes/staff-profile.ts'
import { me, privateUser, staffMark, user as publicUser } from '../../shared/shapes/user.ts'
import {
  del,
  type Endpoint,
  get,
  getCached,
  type Id,
  idOf,
  post,
  put,
  superuserOf,
  type Trx,
  user,
  type WriteRequest,
  writeRule,
} from '../endpoints/index.ts'
import type { Client } from '../http/client.ts'
import { addSecurityContext } from '../http/security-log.ts'
import { type ConfirmPasswordDeps, createConfirmPassword } from '../session/confirm-password.ts'
import { email, reference, text, username } from './field.ts'
import { parameter } from './parameter.ts'
import { peek } from './peek.ts'
import { SAME_USER } from './rules.ts'

const params = { id: idOf('User') }

/** Reads a user as the user and superusers receive it. */
const shown = async (trx: Trx, { id }: Id) => (await findUser(trx, id, 'private'))?.body ?? null

/** Access for the user and superusers, to the columns in the body that they may write. */
const sameUser = writeRule({
  ...SAME_USER,
  async enforce(trx, { params, userId, sent }: WriteRequest<Id>) {
    const locked = await lockUser(trx, params.id, userId)
    requireColumns(locked, Object.keys(peek(z.looseObject({}), sent) ?? {}))
    return locked
  },
})

const superuserOfUser = superuserOf('users_user', 'User')

/** Without a value the flag is toggled. */
const flags = z.object({ is_active: z.boolean(), is_superuser: z.boolean() }).partial()

const userPatch = z
  .object({
    username,
    // An empty address becomes null: the column is unique, and many users have no address.
    email: email.nullable().transform((address) => address || null),
    first_name: text(100).nullable(),
    last_name: text(100).nullable(),
    display_first_name: text(201).nullable(),
    display_last_name: text(201).nullable(),
    is_superuser: z.boolean(),
    is_staff: z.boolean(),
    is_active: z.boolean(),
    is_aec: z.boolean(),
    /** Required when users change their own e-mail address. */
    current_password: z.string().max(4096),
  })
  .partial()

export interface UserEndpointsDeps extends ConfirmPasswordDeps {
  readonly client: Client
}

/** Users: reads, and changes by the user and superusers. */
export function userEndpoints(deps: UserEndpointsDeps): readonly Endpoint[] {
  const hashConfirmedBy = createVerifyCurrentPassword(deps)
  return [
    getCached('/users/me', {
      summary: 'Get the logged-in user',
      access: user,
      answers: { 200: me },
      resource: userMe,
      key: (_, userId) => ({ user_id: userId }),
      variant: 'full',
    }),
    get('/users/mypublicprofile', {
      summary: 'Get the staff profile of the logged-in user, even if it is hidden',
      access: user,
      answers: { 200: privateStaffProfile },
      absent: 'No staff profile found',
      read: (trx, _, { user }) => findOwnStaffProfile(trx, user.userId),
    }),
    get('/users/is_staff/:id', {
      summary: 'Check whether a user is a member of staff',
      access: user,
      params,
      answers: { 200: staffMark },
      read: (trx, { id }) => findIsStaff(trx, id),
    }),
    // The id in the path is not used: clients send the user in the query.
    get('/users/:id/check_staff_profile', {
      summary: 'Check whether a user has a staff profile that the viewer may read, and get it',
      access: user,
      params,
      query: z.object({ user_id: parameter(reference.optional()) }),
      answers: { 200: staffProfileCheck },
      async read(trx, _, { query: { user_id }, user: { userId, isSuperuser } }) {
        if (user_id === undefined) throw new PublicError('invalid', 'User ID required')
        const maySeeHidden = isSuperuser || userId === user_id
        return checkStaffProfile(trx, user_id, maySeeHidden ? 'private' : 'full')
      },
    }),
    getCached('/users/:id', {
      summary:
        'Get a user; personal information and the content of a hidden profile only for that user and superusers',
      access: user,
      params,
      answers: { 200: z.union([privateUser, publicUser]) },
      resource: userProfile,
      key: ({ id }) => ({ user_id: id }),
      variant: ({ id }, userId) => (userId === id ? 'private' : 'full'),
      variantByRights: ({ id }, { userId, isSuperuser }) =>
        isSuperuser && userId !== id ? 'private' : null,
    }),
    put('/users/:id', {
      summary: 'Change a user; only superusers can change permissions',
      access: sameUser,
      params,
      body: userPatch,
      answers: { 200: privateUser },
      prepare: async (req, { id }, userId) => (id === userId ? hashConfirmedBy(req, userId) : null),
      shown,
      async write(trx, { id }, { body, granted, prepared: verifiedHash, req }) {
        const { current_password: _, ...patch } = body
        addUserChange(req, id, patch)
        await updateUser(trx, granted, patch, verifiedHash)
      },
    }),
    del('/users/:id', {
      summary: 'Delete a user and all data that belongs to this user only',
      access: superuserOfUser,
      event: 'user_deletion',
      params,
      answers: { 204: null },
      shown,
      async write(trx, { id }, { files }) {
        files.discard(await findFilesOfUsers(trx, [id]))
        await deleteUser(trx, id)
      },
    }),
    post('/users/:id/toggleactive', {
      summary: 'Deactivate or activate a user',
      access: superuserOfUser,
      event: 'rights_change',
      params,
      body: flags.pick({ is_active: true }),
      isBodyOptional: true,
      answers: { 200: privateUser },
      shown,
      write: (trx, { id }, { body }) => toggleActive(trx, id, body.is_active),
    }),
    post('/users/:id/admin', {
      summary: 'Make a user a superuser, or revoke this',
      access: superuserOfUser,
      event: 'rights_change',
      params,
      body: flags.pick({ is_superuser: true }),
      isBodyOptional: true,
      answers: { 200: privateUser },
      shown,
      write: (trx, { id }, { body }) => toggleSuperuser(trx, id, body.is_superuser),
    }),
  ]
}

const confirmation = z.object({ current_password: z.string().min(1).max(4096) })

/**
 * The returned function verifies `current_password` and returns the stored hash; null if the body has
 * none. It throws PublicError `invalid` if the password is wrong.
 */
function createVerifyCurrentPassword(deps: UserEndpointsDeps) {
  const confirmPassword = createConfirmPassword(deps)
  return async (req: Request, userId: string): Promise<string | null> => {
    const given = confirmation.safeParse(req.body)
    if (!given.success) return null
    const { current_password: password } = given.data
    const by = { userId, network: deps.client.network(req), password }
    const credentials = await confirmPassword(by)
    if (credentials !== null) return credentials.password
    throw new PublicError('invalid', 'Incorrect password', {
      fields: { current_password: ['Incorrect password'] },
    })
  }
}

/**
 * Adds the change to the security log: `rights_change` for flags, else `address_change` for e-mail
 * and user name.
 */
function addUserChange(req: Request, targetUserId: string, patch: UserPatch): void {
  const changed = Object.keys(patch)
  const event = changed.some(isFlag)
    ? 'rights_change'
    : changed.some((name) => name === 'email' || name === 'username')
      ? 'address_change'
      : undefined
  addSecurityContext(req, { event, targetUserId, changed })
}
