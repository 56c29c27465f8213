import { Client } from 'pg'
import { createSessions } from '../api/session/session.ts'
import { STAFF_PAGE_SIZE } from '../db/queries/staff-page.ts'
import { PROFILE_SECTIONS, profilePath, projectsPath } from './profiles.ts'
import type { Visit } from './workload.ts'

const LISTS = [
  'agencies/branches',
  'agencies/business_areas',
  'agencies/affiliations',
  ...['list', 'dbcaregions', 'dbcadistricts', 'ibra', 'imcra', 'nrm'].map(
    (of) => `locations/${of}`,
  ),
  'projects/statistics',
  ...['', 'only_staff=true&', 'only_external=true&', 'only_superuser=true&', 'only_ba_lead=true&']
    .flatMap((filter) => Array.from({ length: 8 }, (_, page) => `${filter}page=${page + 1}`))
    .map((query) => `users/list?${query}`),
]

/** Requests that each user sends for own data. */
const OWN = [
  'users/me',
  'projects/mine',
  'adminoptions/tasks',
  'documents/endorsements/pendingmyaction',
  'documents/projectdocuments/pendingmyaction',
]

/** Returns requests for every cached response: each user, profile, project, page and list. */
export async function findEverything(databaseUrl: string, secret: string): Promise<Visit[]> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const users = await client.query<{ id: string; password: string; is_active: boolean }>(
      'select id::text, password, is_active from users_user order by id',
    )
    const profiles = await client.query<{ id: string; user_id: string }>(
      `select p.id::text, p.user_id::text
       from users_publicstaffprofile p join users_user u on u.id = p.user_id
       where not p.is_hidden and u.is_active and u.is_staff order by p.id`,
    )
    const projects = await client.query<{ id: string }>(
      'select id::text from projects_project order by id',
    )
    const sessions = createSessions([secret])
    const active = users.rows.filter((user) => user.is_active)
    const cookies = await Promise.all(
      active.map(async ({ id, password }) => `spms_session=${await sessions.issue(id, password)}`),
    )
    const Cookie = cookies[0] as string
    const pages = Math.ceil(profiles.rows.length / STAFF_PAGE_SIZE)
    return [
      ...Array.from({ length: pages }, (_, page) => `/api/v1/users/staffprofiles?page=${page + 1}`),
      ...profiles.rows.flatMap(({ id }) =>
        PROFILE_SECTIONS.map((section) => profilePath(id) + section),
      ),
      ...profiles.rows.map(({ user_id }) => projectsPath(user_id)),
    ]
      .map((path): Visit => ({ path, headers: {} }))
      .concat(
        [
          ...LISTS,
          ...users.rows.flatMap(({ id }) => [`users/${id}`, `users/${id}/projects`]),
          ...projects.rows.map(({ id }) => `projects/${id}`),
        ].map((path) => ({ path: `/api/v1/${path}`, headers: { Cookie } })),
        cookies.flatMap((cookie) =>
          OWN.map((path) => ({ path: `/api/v1/${path}`, headers: { Cookie: cookie } })),
        ),
      )
  } finally {
    await client.end()
  }
}
