import { type Request, Router } from 'express'
import type { Transaction } from 'kysely'
import { z } from 'zod'
import { checkStaffProfile } from '../../db/queries/staff-profile-check.ts'
import { findOwnStaffProfile } from '../../db/queries/staff-profile.ts'
import { findIsStaff, findUser, type UserView } from '../../db/queries/user.ts'
import type { Database } from '../../db/schema.ts'
import { lockForSuperuser } from '../../db/writes/superuser.ts'
import { transact } from '../../db/writes/transact.ts'
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
import { notFound, PublicError } from '../../shared/errors.ts'
import { userMe, userProfile } from '../../shared/resources/index.ts'
import { staffProfileCheck } from '../../shared/shapes/staff-profile-check.ts'
import { privateStaffProfile } from '../../shared/shapes/staff-profile.ts'
import { me, staffMark, user } from '../../shared/shapes/user.ts'
import type { AppDeps } from '../deps.ts'
import type { Client } from '../http/client.ts'
import { sendJson, sendNoContent, sendPrivate } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { addSecurityContext } from '../http/security-log.ts'
import { requireMatch, tagged } from '../http/tagged.ts'
import { operation } from '../openapi/operation.ts'
import { parse, parseId } from '../parse.ts'
import { createConfirmPassword } from '../session/confirm-password.ts'
import type { PasswordAttempts } from '../session/password-attempts.ts'
import { email, reference, text } from './field.ts'
import { parameter } from './parameter.ts'
import { peek } from './peek.ts'
import { written } from './written.ts'

export interface UserRoutesDeps extends AppDeps {
  readonly client: Client
  readonly attempts: PasswordAttempts
}

/** Users: reads, and changes by the user and superusers. */
export function userRoutes(deps: UserRoutesDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  const { db, reader, sendAnswer } = deps
  const confirmPassword = createConfirmPassword(deps)

  router
    .route('/users/me')
    .get(showsMe, async (req, res) => {
      const answer = await deps.readAs(req, (user_id) =>
        reader.read(req, userMe, { user_id }, 'full'),
      )
      sendAnswer(req, res, answer, 'user')
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/users/mypublicprofile')
    .get(showsOwnProfile, async (req, res) => {
      const { userId } = await deps.requireUser(req)
      const profile = await reader.query((trx) => findOwnStaffProfile(trx, userId))
      if (profile === null) throw new PublicError('not_found', 'No staff profile found')
      sendPrivate(res, profile)
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/users/is_staff/:id')
    .get(showsMark, async (req, res) => {
      const id = parseId(req.params.id, 'User')
      await deps.requireUser(req)
      const mark = await reader.query((trx) => findIsStaff(trx, id))
      if (mark === null) throw notFound('User', id)
      sendPrivate(res, mark)
    })
    .all(methodNotAllowed('GET'))

  // The id in the path is not used: clients send the user in the query.
  router
    .route('/users/:id/check_staff_profile')
    .get(checksProfile, async (req, res) => {
      parseId(req.params.id, 'User')
      const viewer = await deps.requireUser(req)
      const { user_id } = parse(checkQuery, req.query)
      if (user_id === undefined) throw new PublicError('invalid', 'User ID required')
      const isOwn = viewer.isSuperuser || viewer.userId === user_id
      const check = await reader.query((trx) =>
        checkStaffProfile(trx, user_id, isOwn ? 'private' : 'full'),
      )
      sendPrivate(res, check)
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/users/:id')
    .get(showsUser, async (req, res) => {
      const user_id = parseId(req.params.id, 'User')
      const read = (view: UserView) => reader.read(req, userProfile, { user_id }, view)
      const answer = await deps.readAs(
        req,
        (userId) => read(userId === user_id ? 'private' : 'full'),
        ({ userId, isSuperuser }) => (isSuperuser && userId !== user_id ? read('private') : null),
      )
      sendAnswer(req, res, answer, 'user', `User ${user_id} not found`)
    })
    .put(changesUser, async (req, res) => {
      const id = parseId(req.params.id, 'User')
      const { userId } = await deps.requireUser(req)
      const verifiedHash = id === userId ? await hashConfirmedBy(req, userId) : null
      const user = await transact(db, async (trx) => {
        const locked = await lockUser(trx, id, userId)
        requireColumns(locked, Object.keys(peek(z.looseObject({}), req.body) ?? {}))
        await requireMatch(req, () => shown(trx, id))
        const { current_password: _, ...patch } = parse(userPatch, req.body)
        addUserChange(req, id, patch)
        await updateUser(trx, locked, patch, verifiedHash)
        return writtenUser(trx, id)
      })
      sendJson(res, 200, user)
    })
    .delete(deletesUser, async (req, res) => {
      const id = parseId(req.params.id, 'User')
      const { userId } = await deps.requireUser(req)
      await transact(db, async (trx) => {
        await lockForSuperuser(trx, { table: 'users_user', entity: 'User', id }, userId)
        await requireMatch(req, () => shown(trx, id))
        await deleteUser(trx, id)
      })
      sendNoContent(res)
    })
    .all(methodNotAllowed('GET', 'PUT', 'DELETE'))

  for (const [path, flag, toggle, described] of [
    ['toggleactive', 'is_active', toggleActive, togglesActive],
    ['admin', 'is_superuser', toggleSuperuser, togglesSuperuser],
  ] as const) {
    router
      .route(`/users/:id/${path}`)
      .post(described, async (req, res) => {
        const id = parseId(req.params.id, 'User')
        const { userId } = await deps.requireUser(req)
        const user = await transact(db, async (trx) => {
          await lockForSuperuser(trx, { table: 'users_user', entity: 'User', id }, userId)
          await requireMatch(req, () => shown(trx, id))
          await toggle(trx, id, parse(flags, req.body)[flag])
          return writtenUser(trx, id)
        })
        sendJson(res, 200, user)
      })
      .all(methodNotAllowed('POST'))
  }

  /**
   * Returns the stored hash that `current_password` matches; null if the request has none.
   * @throws PublicError `invalid` if the password is wrong.
   */
  async function hashConfirmedBy(req: Request, userId: string): Promise<string | null> {
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

  return router
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

const confirmation = z.object({ current_password: z.string().min(1).max(4096) })

const checkQuery = z.object({ user_id: parameter(reference.optional()) })

/** Returns the body of a GET of a user, as the user and superusers receive it. */
const shown = async (trx: Transaction<Database>, id: string) =>
  (await findUser(trx, id, 'private'))?.body ?? null

const writtenUser = async (trx: Transaction<Database>, id: string) =>
  tagged(written(await shown(trx, id)))

/** Without a value the flag is toggled. */
const flags = z.object({ is_active: z.boolean(), is_superuser: z.boolean() }).partial()

const userPatch = z
  .object({
    // Normalized as in Django's forms: a log-in searches for the normalized name.
    username: text(150)
      .min(1)
      .normalize('NFKC')
      .regex(
        /^[\p{L}\p{N}_.@+-]*$/u,
        'Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters.',
      ),
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

const showsMe = operation({
  summary: 'Get the logged-in user',
  who: 'users',
  answers: { 200: me },
})

const showsOwnProfile = operation({
  summary: 'Get the staff profile of the logged-in user, even if it is hidden',
  who: 'users',
  answers: { 200: privateStaffProfile },
})

const showsMark = operation({
  summary: 'Check whether a user is a member of staff',
  who: 'users',
  answers: { 200: staffMark },
})

const checksProfile = operation({
  summary: 'Check whether a user has a staff profile that the viewer may read, and get it',
  who: 'users',
  query: checkQuery,
  answers: { 200: staffProfileCheck },
})

const showsUser = operation({
  summary:
    'Get a user; the content of a hidden profile is included for its owner and superusers only',
  who: 'users',
  answers: { 200: user },
})

const changesUser = operation({
  summary: 'Change a user; only superusers can change permissions',
  who: 'the user and superusers',
  body: userPatch,
  answers: { 200: user },
})

const deletesUser = operation({
  event: 'user_deletion',
  summary: 'Delete a user and all data that belongs to this user only',
  who: 'superusers',
  answers: { 204: null },
})

const togglesActive = operation({
  event: 'rights_change',
  summary: 'Deactivate or activate a user',
  who: 'superusers',
  body: flags.pick({ is_active: true }),
  isBodyOptional: true,
  isConditional: true,
  answers: { 200: user },
})

const togglesSuperuser = operation({
  event: 'rights_change',
  summary: 'Make a user a superuser, or revoke this',
  who: 'superusers',
  body: flags.pick({ is_superuser: true }),
  isBodyOptional: true,
  isConditional: true,
  answers: { 200: user },
})
