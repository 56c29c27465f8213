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
import { publicProjectRow } from '../../shared/shapes/project-row.ts'
import * as shapes from '../../shared/shapes/staff-profile.ts'
import type { AppDeps } from '../deps.ts'
import { sendCreated, sendJson, sendNoContent, sendPrivate, sendResource } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { requireMatch, tagged } from '../http/tagged.ts'
import { operation } from '../openapi/operation.ts'
import { parse, parseId } from '../parse.ts'
import { email, reference, text } from './field.ts'
import { page, pageSize, parameter, searchTerm } from './parameter.ts'
import { written } from './written.ts'

/** Staff profiles: the public pages, and changes by their owners. */
export function staffProfileRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  const { db, reader, sendAnswer } = deps

  router
    .route('/users/staffprofiles')
    .get(listsStaff, async (req, res) => {
      const { search, business_area, ...wanted } = parse(listQuery, req.query)
      const chosen = { page: wanted.page, ...(business_area && { businessArea: business_area }) }
      if (search === undefined && wanted.page_size === STAFF_PAGE_SIZE) {
        const answer = await reader.read(req, staffList, {}, staffListVariant(chosen))
        return sendAnswer(req, res, answer, 'anyone')
      }
      const options = { ...chosen, pageSize: wanted.page_size, ...(search && { search }) }
      const { body } = await reader.query((trx) => findStaffPage(trx, options))
      sendPrivate(res, body, search === undefined ? 'page-size' : 'search')
    })
    .post(addsProfile, async (req, res) => {
      const { userId } = await deps.requireUser(req)
      const profile = await transact(db, async (trx) => {
        const id = await insertStaffProfile(trx, userId, parse(newProfile, req.body))
        return tagged(written(await findStaffProfile(trx, id, 'private')))
      })
      sendCreated(req, res, '/users/staffprofiles/:id', profile)
    })
    .all(methodNotAllowed('GET', 'POST'))

  router
    .route('/users/staffprofiles/:id')
    .get(showsProfile, show('full'))
    .put(changesProfile, async (req, res) => {
      const id = parseId(req.params.id, 'Profile')
      const { userId } = await deps.requireUser(req)
      const profile = await transact(db, async (trx) => {
        await lockStaffProfile(trx, id, userId)
        await requireMatch(req, () => findStaffProfile(trx, id, 'private'))
        await updateStaffProfile(trx, id, parse(profilePatch, req.body))
        return tagged(written(await findStaffProfile(trx, id, 'private')))
      })
      sendJson(res, 200, profile)
    })
    .delete(deletesProfile, async (req, res) => {
      const id = parseId(req.params.id, 'Profile')
      const { userId } = await deps.requireUser(req)
      await transact(db, async (trx) => {
        await lockStaffProfile(trx, id, userId)
        await requireMatch(req, () => findStaffProfile(trx, id, 'private'))
        await deleteStaffProfile(trx, id)
      })
      sendNoContent(res)
    })
    .all(methodNotAllowed('GET', 'PUT', 'DELETE'))

  for (const section of ['hero', 'overview', 'cv'] as const) {
    router
      .route(`/users/staffprofiles/:id/${section}`)
      .get(showsSection[section], show(section))
      .all(methodNotAllowed('GET'))
  }

  router
    .route('/users/staffprofiles/:id/toggle_visibility')
    .post(togglesProfile, async (req, res) => {
      const id = parseId(req.params.id, 'Profile')
      const { userId } = await deps.requireUser(req)
      const profile = await transact(db, async (trx) => {
        await lockStaffProfile(trx, id, userId)
        await requireMatch(req, () => findStaffProfile(trx, id, 'private'))
        await toggleStaffProfile(trx, id, parse(visibility, req.body).is_hidden)
        return tagged(written(await findStaffProfile(trx, id, 'private')))
      })
      sendJson(res, 200, profile)
    })
    .all(methodNotAllowed('POST'))

  router
    .route('/users/:id/projects_staff_profile')
    .get(listsProjects, async (req, res) => {
      const user_id = parseId(req.params.id, 'User')
      const answer = await reader.read(req, staffProjects, { user_id }, 'rows')
      sendAnswer(req, res, answer.body === null ? { ...answer, ...NO_PROJECTS } : answer, 'anyone')
    })
    .all(methodNotAllowed('GET'))

  return router

  function show(view: StaffView): RequestHandler<{ id: string }> {
    return async (req, res) => {
      const id = parseId(req.params.id, 'Profile')
      // Started before authentication, so that Redis receives both reads together. For the owner the
      // result is not used.
      const reading = reader.read(req, staffProfile, { profile_id: id }, view)
      reading.catch(() => {})
      const whole = await readWhole(req, id, view)
      if (whole !== null) return sendResource(req, res, whole)
      sendAnswer(req, res, await reading, 'anyone', `Profile ${id} not found`)
    }
  }

  /**
   * Returns the profile, even if it is hidden, for its owner and superusers; null for other
   * clients.
   */
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

/**
 * Maximum length of a text. It bounds the public list, which contains two texts of up to 100
 * profiles.
 */
const MAX_PROFILE_TEXT = 10_000

const profilePatch = z
  .object({
    about: text(MAX_PROFILE_TEXT).nullable(),
    expertise: text(MAX_PROFILE_TEXT).nullable(),
    is_hidden: z.boolean(),
    custom_title: text(50).nullable(),
    custom_title_on: z.boolean(),
    public_email: email.nullable(),
    public_email_on: z.boolean(),
  })
  .partial()

// Clients also send a user, which is ignored: users can only create their own profile.
const newProfile = profilePatch.pick({ about: true, expertise: true, is_hidden: true })

/** Without a value the flag is toggled. */
const visibility = z.object({ is_hidden: z.boolean().optional() })

const NO_PROJECTS = { body: Buffer.from('[]'), etag: '"none"' }

const OWNERS = 'the owner of the profile and superusers'

const listsStaff = operation({
  summary: 'List a page of staff whose profiles are not hidden',
  who: 'anyone',
  query: listQuery,
  answers: { 200: shapes.staffPage },
})

const addsProfile = operation({
  summary: 'Add a staff profile for the user',
  who: 'users',
  body: newProfile,
  answers: { 201: shapes.privateStaffProfile },
})

const showsProfile = operation({
  summary: 'Get a staff profile; its settings are included for its owner and superusers',
  who: 'anyone',
  answers: { 200: z.union([shapes.staffProfile, shapes.privateStaffProfile]) },
})

const showsSection = {
  hero: operation({
    summary: 'Get the head of a staff profile',
    who: 'anyone',
    answers: { 200: shapes.staffHero },
  }),
  overview: operation({
    summary: 'Get the expertise and the keywords in a staff profile',
    who: 'anyone',
    answers: { 200: shapes.staffOverview },
  }),
  cv: operation({
    summary: 'Get the employment and education in a staff profile',
    who: 'anyone',
    answers: { 200: shapes.staffCv },
  }),
}

const changesProfile = operation({
  summary: 'Change a staff profile',
  who: OWNERS,
  body: profilePatch,
  answers: { 200: shapes.privateStaffProfile },
})

const deletesProfile = operation({
  summary: 'Delete a staff profile',
  who: OWNERS,
  answers: { 204: null },
})

const togglesProfile = operation({
  summary: 'Hide a staff profile, or show it again',
  who: OWNERS,
  body: visibility,
  isBodyOptional: true,
  isConditional: true,
  answers: { 200: shapes.privateStaffProfile },
})

const listsProjects = operation({
  summary: 'List the projects on the public page of a user',
  who: 'anyone',
  answers: { 200: z.array(publicProjectRow) },
})
