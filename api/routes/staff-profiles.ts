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
import {
  staffList,
  staffListVariant,
  staffProfile,
  staffProjects,
} from '../../shared/resources/index.ts'
import { publicProjectRow } from '../../shared/shapes/project-row.ts'
import * as shapes from '../../shared/shapes/staff-profile.ts'
import {
  anyone,
  create,
  del,
  type Endpoint,
  getPublic,
  type Id,
  idOf,
  post,
  put,
  ruleById,
  type Trx,
  user,
} from '../endpoints/index.ts'
import type { User } from '../http/authenticate.ts'
import { email, MAX_PROFILE_TEXT, reference, text } from './field.ts'
import { page, pageSize, parameter, searchTerm } from './parameter.ts'
import { PROFILE_OWNER } from './rules.ts'

const params = { id: idOf('Profile') }

const listQuery = z.object({
  search: searchTerm,
  business_area: parameter(reference.optional()),
  page,
  page_size: pageSize(STAFF_PAGE_SIZE),
})

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

const owner = ruleById(PROFILE_OWNER, lockStaffProfile)

const shown = (trx: Trx, { id }: Id) => findStaffProfile(trx, id, 'private')

/** Reads a view of a profile, even if it is hidden, for its owner and superusers; null for others. */
const readWithRights =
  (view: StaffView) =>
  async (trx: Trx, { id }: Id, user: User) => {
    const isOwn = user.isSuperuser || (await findProfileOwner(trx, id)) === user.userId
    if (!isOwn) return null
    return findStaffProfile(trx, id, view === 'full' ? 'private' : view, { includesHidden: true })
  }

const chosenIn = ({ page, business_area }: z.output<typeof listQuery>) => ({
  page,
  ...(business_area && { businessArea: business_area }),
})

/** Staff profiles: the public pages, and changes by their owners. */
export const staffProfileEndpoints: readonly Endpoint[] = [
  getPublic('/users/staffprofiles', {
    summary: 'List a page of staff whose profiles are not hidden',
    access: anyone,
    query: listQuery,
    answers: { 200: shapes.staffPage },
    resource: staffList,
    variant: (query) => staffListVariant(chosenIn(query)),
    uncached(query) {
      const { search, page_size: pageSize } = query
      if (search === undefined && pageSize === STAFF_PAGE_SIZE) return null
      const wanted = { ...chosenIn(query), pageSize, ...(search && { search }) }
      return {
        detail: search === undefined ? 'page-size' : 'search',
        read: async (trx) => (await findStaffPage(trx, wanted)).body,
      }
    },
  }),
  create('/users/staffprofiles', {
    summary: 'Add a staff profile for the user',
    access: user,
    // Clients also send a user, which is ignored: users can only create their own profile.
    body: profilePatch.pick({ about: true, expertise: true, is_hidden: true }),
    answers: { 201: shapes.privateStaffProfile },
    insert: (trx, _, { body, userId }) => insertStaffProfile(trx, userId, body),
    location: (id) => `/users/staffprofiles/${id}`,
    shown: (trx, id) => shown(trx, { id }),
  }),
  getPublic('/users/staffprofiles/:id', {
    summary: 'Get a staff profile; its settings are included for its owner and superusers',
    access: anyone,
    params,
    answers: { 200: z.union([shapes.staffProfile, shapes.privateStaffProfile]) },
    resource: staffProfile,
    key: ({ id }) => ({ profile_id: id }),
    variant: 'full',
    readWithRights: readWithRights('full'),
  }),
  put('/users/staffprofiles/:id', {
    summary: 'Change a staff profile',
    access: owner,
    params,
    body: profilePatch,
    answers: { 200: shapes.privateStaffProfile },
    shown,
    write: (trx, { id }, { body }) => updateStaffProfile(trx, id, body),
  }),
  del('/users/staffprofiles/:id', {
    summary: 'Delete a staff profile',
    access: owner,
    params,
    answers: { 204: null },
    shown,
    write: (trx, { id }) => deleteStaffProfile(trx, id),
  }),
  ...(
    [
      ['hero', 'Get the head of a staff profile', shapes.staffHero],
      ['overview', 'Get the expertise and the keywords in a staff profile', shapes.staffOverview],
      ['cv', 'Get the employment and education in a staff profile', shapes.staffCv],
    ] as const
  ).map(([view, summary, shape]) =>
    getPublic(`/users/staffprofiles/:id/${view}`, {
      summary,
      access: anyone,
      params,
      answers: { 200: shape },
      resource: staffProfile,
      key: ({ id }) => ({ profile_id: id }),
      variant: view,
      readWithRights: readWithRights(view),
    }),
  ),
  post('/users/staffprofiles/:id/toggle_visibility', {
    summary: 'Hide a staff profile, or show it again',
    access: owner,
    params,
    // Without a value the flag is toggled.
    body: z.object({ is_hidden: z.boolean().optional() }),
    isBodyOptional: true,
    answers: { 200: shapes.privateStaffProfile },
    shown,
    write: (trx, { id }, { body }) => toggleStaffProfile(trx, id, body.is_hidden),
  }),
  getPublic('/users/:id/projects_staff_profile', {
    summary: 'List the projects on the public page of a user',
    access: anyone,
    params: { id: idOf('User') },
    answers: { 200: z.array(publicProjectRow) },
    resource: staffProjects,
    key: ({ id }) => ({ user_id: id }),
    variant: 'rows',
    empty: { body: Buffer.from('[]'), etag: '"none"' },
  }),
]
