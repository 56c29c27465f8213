import { Router } from 'express'
import { z } from 'zod'
import { checkStaffProfile } from '../../db/queries/staff-profile-check.ts'
import { findOwnStaffProfile } from '../../db/queries/staff-profile.ts'
import { findIsStaff } from '../../db/queries/user.ts'
import { notFound, PublicError } from '../../shared/errors.ts'
import { userMe, userProfile } from '../../shared/resources/index.ts'
import { staffProfileCheck } from '../../shared/shapes/staff-profile-check.ts'
import { privateStaffProfile } from '../../shared/shapes/staff-profile.ts'
import { me, staffMark, user } from '../../shared/shapes/user.ts'
import type { AppDeps } from '../deps.ts'
import { sendPrivate } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { operation } from '../openapi/operation.ts'
import { parse, parseId } from '../parse.ts'
import { reference } from './field.ts'
import { parameter } from './parameter.ts'

/** Users as they see each other and themselves. */
export function userRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  const { reader, sendAnswer } = deps

  router
    .route('/users/me')
    .get(showsMe, async (req, res) => {
      const answer = await deps.readAs(req, (user_id) => reader.read(userMe, { user_id }, 'full'))
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

  // The id in its path says nothing: clients name the user in the query.
  router
    .route('/users/:id/check_staff_profile')
    .get(checksProfile, async (req, res) => {
      parseId(req.params.id, 'User')
      const asking = await deps.requireUser(req)
      const { user_id } = parse(checkQuery, req.query)
      if (user_id === undefined) throw new PublicError('invalid', 'User ID required')
      const isOwn = asking.isSuperuser || asking.userId === user_id
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
      const answer = await deps.readAs(req, () => reader.read(userProfile, { user_id }, 'full'))
      sendAnswer(req, res, answer, 'user', `User ${user_id} not found`)
    })
    .all(methodNotAllowed('GET'))

  return router
}

const checkQuery = z.object({ user_id: parameter(reference.optional()) })

const showsMe = operation({
  summary: 'Whoever asks, as they see themselves',
  who: 'users',
  answers: { 200: me },
})

const showsOwnProfile = operation({
  summary: 'The staff profile of whoever asks, also while it is hidden',
  who: 'users',
  answers: { 200: privateStaffProfile },
})

const showsMark = operation({
  summary: 'Whether a user is a member of staff',
  who: 'users',
  answers: { 200: staffMark },
})

const checksProfile = operation({
  summary: 'Whether a user has a staff profile, and what it shows to whoever asks',
  who: 'users',
  query: checkQuery,
  answers: { 200: staffProfileCheck },
})

const showsUser = operation({
  summary: 'A user as other users see them',
  who: 'users',
  answers: { 200: user },
})
