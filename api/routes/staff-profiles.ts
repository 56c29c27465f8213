import type { IncomingMessage } from 'node:http'
import { type RequestHandler, Router } from 'express'
import { z } from 'zod'
import { findProfileOwner } from '../../db/queries/profile-owner.ts'
import { findStaffPage, STAFF_PAGE_SIZE } from '../../db/queries/staff-page.ts'
import { findStaffProfile, type StaffView } from '../../db/queries/staff-profile.ts'
import {
  deleteStaffProfile,
  insertStaffProfile,
  lockStaffProfile,
  toggleStaffProfile,
  updateStaffProfile,
} from '../../db/writes/staff-profile.ts'
import { transact } from '../../db/writes/transact.ts'
import {
  staffList,
  staffListVariant,
  staffProfile,
  staffProjects,
} from '../../shared/resources/index.ts'
import type { AppDeps } from '../deps.ts'
import { sendJson, sendNoContent, sendPrivate } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { parse, parseId } from '../parse.ts'
import { email, reference, text } from './field.ts'
import { page, pageSize, parameter, searchTerm } from './parameter.ts'
import { written } from './written.ts'

/** The public pages of staff, and what their owners change on them. */
export function staffProfileRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  const { db, reader, sendAnswer } = deps

  router
    .route('/users/staffprofiles')
    .get(async (req, res) => {
      const { search, business_area, ...wanted } = parse(listQuery, req.query)
      const chosen = { page: wanted.page, ...(business_area && { businessArea: business_area }) }
      if (search === undefined && wanted.page_size === STAFF_PAGE_SIZE) {
        const answer = await reader.read(staffList, {}, staffListVariant(chosen))
        return sendAnswer(req, res, answer, 'anyone')
      }
      const options = { ...chosen, pageSize: wanted.page_size, ...(search && { search }) }
      const { body } = await reader.query((trx) => findStaffPage(trx, options))
      sendPrivate(res, body, search === undefined ? 'page-size' : 'search')
    })
    .post(async (req, res) => {
      const { userId } = await deps.requireUser(req)
      const profile = await transact(db, async (trx) => {
        const id = await insertStaffProfile(trx, userId, parse(newProfile, req.body))
        return written(await findStaffProfile(trx, id, 'private'))
      })
      sendJson(res, 201, profile)
    })
    .all(methodNotAllowed('GET', 'POST'))

  router
    .route('/users/staffprofiles/:id')
    .get(show('full'))
    .put(async (req, res) => {
      const id = parseId(req.params.id, 'Profile')
      const { userId } = await deps.requireUser(req)
      const profile = await transact(db, async (trx) => {
        await lockStaffProfile(trx, id, userId)
        await updateStaffProfile(trx, id, parse(profilePatch, req.body))
        return written(await findStaffProfile(trx, id, 'private'))
      })
      sendJson(res, 200, profile)
    })
    .delete(async (req, res) => {
      const id = parseId(req.params.id, 'Profile')
      const { userId } = await deps.requireUser(req)
      await transact(db, async (trx) => {
        await lockStaffProfile(trx, id, userId)
        await deleteStaffProfile(trx, id)
      })
      sendNoContent(res)
    })
    .all(methodNotAllowed('GET', 'PUT', 'DELETE'))

  for (const section of ['hero', 'overview', 'cv'] as const) {
    router
      .route(`/users/staffprofiles/:id/${section}`)
      .get(show(section))
      .all(methodNotAllowed('GET'))
  }

  router
    .route('/users/staffprofiles/:id/toggle_visibility')
    .post(async (req, res) => {
      const id = parseId(req.params.id, 'Profile')
      const { userId } = await deps.requireUser(req)
      const profile = await transact(db, async (trx) => {
        await lockStaffProfile(trx, id, userId)
        await toggleStaffProfile(trx, id)
        return written(await findStaffProfile(trx, id, 'private'))
      })
      sendJson(res, 200, profile)
    })
    .all(methodNotAllowed('POST'))

  router
    .route('/users/:id/projects_staff_profile')
    .get(async (req, res) => {
      const user_id = parseId(req.params.id, 'User')
      const answer = await reader.read(staffProjects, { user_id }, 'rows')
      sendAnswer(req, res, answer.body === null ? { ...answer, ...NO_PROJECTS } : answer, 'anyone')
    })
    .all(methodNotAllowed('GET'))

  return router

  function show(view: StaffView): RequestHandler<{ id: string }> {
    return async (req, res) => {
      const id = parseId(req.params.id, 'Profile')
      const whole = await readWhole(req, id, view)
      if (whole !== null) return sendPrivate(res, whole)
      const answer = await reader.read(staffProfile, { profile_id: id }, view)
      sendAnswer(req, res, answer, 'anyone', `Profile ${id} not found`)
    }
  }

  /** What the owner and superusers see, also of a hidden profile; null for anybody else. */
  async function readWhole(req: IncomingMessage, id: string, view: StaffView) {
    const user = await deps.authenticate(req)
    if (!user) return null
    return reader.query(async (trx) => {
      const isOwn = user.isSuperuser || (await findProfileOwner(trx, id)) === user.userId
      if (!isOwn) return null
      return findStaffProfile(trx, id, view === 'full' ? 'private' : view, { hidden: true })
    })
  }
}

const listQuery = z.object({
  search: searchTerm,
  business_area: parameter(reference.optional()),
  page,
  page_size: pageSize(STAFF_PAGE_SIZE),
})

const profilePatch = z
  .object({
    about: text().nullable(),
    expertise: text().nullable(),
    is_hidden: z.boolean(),
    custom_title: text(50).nullable(),
    custom_title_on: z.boolean(),
    public_email: email.nullable(),
    public_email_on: z.boolean(),
  })
  .partial()

// Clients also send a user, which is ignored: everybody makes their own.
const newProfile = profilePatch.pick({ about: true, expertise: true, is_hidden: true })

const NO_PROJECTS = { body: Buffer.from('[]'), etag: '"none"' }
