import { Client } from 'pg'
import { createSessions } from '../api/session/session.ts'
import { seededRandom } from './statistics.ts'
import { zipf } from './zipf.ts'

/** One request of the mix. */
export interface Visit {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

/** A realistic mix of requests and writes. It is the same in every run. */
export interface Workload extends AsyncDisposable {
  /** Returns the next request, or null after changing a row instead. */
  next(): Promise<Visit | null>
}

/** The visitors: the public and users, or only users of the single-page application. */
export type Visitors = 'everyone' | 'front end'

const WRITE_SHARE = 0.01
/** Share of the other requests that have a session: dashboards, users and projects. */
const SESSION_SHARE = 0.4

/**
 * A public profile page has four requests; a dashboard has the eight requests of the single-page
 * application. Users and their targets are zipf-distributed. Writes are SQL, as from another
 * application.
 */
export async function openWorkload(
  databaseUrl: string,
  secret: string,
  visitors: Visitors = 'everyone',
): Promise<Workload> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  const column = async (text: string) =>
    (await client.query<{ id: string }>(text)).rows.map(({ id }) => id)

  const random = seededRandom(7)
  const profiles = await client
    .query<{ id: string; user_id: string }>(
      `select p.id, p.user_id from users_publicstaffprofile p join users_user u on u.id = p.user_id
       where not p.is_hidden and u.is_active and u.is_staff order by p.id`,
    )
    .then(({ rows }) => rows)
  const projects = await column('select id from projects_project order by id')
  const staff = await client
    .query<{ id: string; password: string }>(
      'select id, password from users_user where is_active and is_staff order by id limit 200',
    )
    .then(({ rows }) => rows)
  const sessions = createSessions([secret])
  const cookies = await Promise.all(
    staff.map(async ({ id, password }) => `spms_session=${await sessions.issue(id, password)}`),
  )
  const pick = {
    profile: zipf(profiles, random),
    project: zipf(projects, random),
    user: zipf(staff, random),
    cookie: zipf(cookies, random),
  }

  let waiting: Visit[] = []

  const at = (paths: readonly string[], headers: Visit['headers']) =>
    paths.map((path) => ({ path: `/api/v1/${path}`, headers }))

  /** Returns the requests of the next page that a user of the front end opens. */
  function pageOfFrontEnd(): Visit[] {
    const page = random()
    const paths =
      page < 0.25
        ? DASHBOARD
        : page < 0.4
          ? [STAFF, `users/${pick.user().id}`, `users/${pick.user().id}/projects`]
          : page < 0.85
            ? // The pickers of members and leaders.
              [`projects/${pick.project()}`, STAFF, STAFF]
            : page < 0.92
              ? ['projects/list?page=1', 'projects/listofyears']
              : page < 0.96
                ? [STAFF, 'users/list?page=1&search=an']
                : [...FORM, STAFF, STAFF]
    return at(paths, { Cookie: pick.cookie() })
  }

  /** Returns the requests of the next step of a visitor. */
  function visits(): Visit[] {
    if (visitors === 'front end') return pageOfFrontEnd()
    if (random() >= SESSION_SHARE) {
      const { id, user_id } = pick.profile()
      const page = Math.floor(random() * 3) + 1
      const paths = [
        ...(random() < 0.2 ? [`users/staffprofiles?page=${page}`] : []),
        ...['hero', 'overview', 'cv'].map((section) => `users/staffprofiles/${id}/${section}`),
        `users/${user_id}/projects_staff_profile`,
      ]
      return at(paths, {})
    }
    const step = random()
    const paths =
      step < 0.3
        ? DASHBOARD
        : step < 0.7
          ? [`projects/${pick.project()}`]
          : [`users/${pick.user().id}`, `users/${pick.user().id}/projects`]
    return at(paths, { Cookie: pick.cookie() })
  }

  async function write(): Promise<void> {
    const text = `changed ${Math.floor(random() * 1e9)}`
    if (random() < 0.5) {
      await client.query('update users_publicstaffprofile set expertise = $1 where id = $2', [
        text,
        pick.profile().id,
      ])
    } else {
      await client.query('update projects_project set tagline = $1 where id = $2', [
        text,
        pick.project(),
      ])
    }
  }

  return {
    async next() {
      if (random() < WRITE_SHARE) {
        await write()
        return null
      }
      if (waiting.length === 0) waiting = visits()
      return waiting.shift() ?? null
    },
    [Symbol.asyncDispose]: () => client.end(),
  }
}

/** The staff that pickers of the front end offer: almost a quarter of all its reads. */
const STAFF = 'users/list?page=1&only_staff=true'

const FORM = ['agencies/affiliations', 'agencies/divisions', 'agencies/services', 'locations/list']

const DASHBOARD = [
  'users/me',
  'agencies/branches',
  'agencies/business_areas',
  'users/me',
  'adminoptions/tasks',
  'documents/endorsements/pendingmyaction',
  'documents/projectdocuments/pendingmyaction',
  'projects/mine',
]
