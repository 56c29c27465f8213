import { createSessions } from '../../../api/session/session.ts'
import { userByEmailParams } from '../../../shared/resources/index.ts'
import type { Issuer } from '../../support/issuer.ts'
import { sessionHeaders } from '../../support/session-headers.ts'
import { SYSTEM_SECRET } from '../../support/system.ts'

/** A user that no test changes. */
const ASKING = 16
/** A path with the same answer for every authenticated user. */
const ALWAYS = `users/is_staff/${ASKING}`

/** A GET request. */
export interface Question {
  readonly path: string
  readonly headers: Record<string, string>
}

/** Returns the session headers of a user of `world.sql`. */
export async function sessionOf(user: number): Promise<Record<string, string>> {
  const sessions = createSessions([SYSTEM_SECRET])
  return { ...(await sessionHeaders(await sessions.issue(String(user), `hash-${user}`))) }
}

/**
 * Returns all requests for rows of `world.sql`, by the entry (`resource id`) that answers them. They include one
 * missing id of each kind, since an insert must invalidate a cached absence.
 */
export async function questionsAbout(issuer: Issuer): Promise<Map<string, readonly Question[]>> {
  const asked = new Map<string, readonly Question[]>()
  const asking = await sessionOf(ASKING)
  const add = (
    resource: string,
    id: number | string,
    headers: Record<string, string>,
    ...paths: string[]
  ) =>
    asked.set(
      `${resource} ${id}`.trimEnd(),
      paths.map((path) => ({ path, headers })),
    )

  add(
    'staff:list',
    '',
    {},
    'users/staffprofiles',
    ...range(401, 405).map((id) => `users/staffprofiles?business_area=${id}`),
  )
  for (const id of range(101, 121)) {
    const path = `users/staffprofiles/${id}`
    add('staff:profile', id, {}, path, `${path}/hero`, `${path}/overview`, `${path}/cv`)
  }
  for (const id of range(1, 21)) {
    const own = await sessionOf(id)
    add('staff:projects', id, {}, `users/${id}/projects_staff_profile`)
    add('user:projects', id, asking, `users/${id}/projects`)
    // The user also receives personal information.
    const asOthersAndUser = [asking, own].map((headers) => ({ path: `users/${id}`, headers }))
    asked.set(`user:profile ${id}`, asOthersAndUser)
    add('user:me', id, own, 'users/me')
    // The answers depend on authentication and on the right to see hidden profiles.
    add('user:access', id, own, ALWAYS, 'users/staffprofiles/119/overview')
  }
  for (const name of [...range(1, 21).map((id) => `user${id}`), 'newcomer']) {
    const email = `${name}@spms.test`
    const token = await issuer.sign({ claims: { email, email_verified: true }, expiresInS: 3600 })
    const bearer = { Authorization: `Bearer ${token}` }
    add('user:by_email', userByEmailParams(email)['email_hex'] ?? '', bearer, ALWAYS)
  }
  for (const id of [...range(201, 220), 290]) add('project:detail', id, asking, `projects/${id}`)
  add(
    'user:list',
    '',
    asking,
    'users/list',
    ...['staff', 'external', 'superuser', 'ba_lead'].map((kind) => `users/list?only_${kind}=true`),
  )
  add('project:stats', '', asking, 'projects/statistics')
  add('agency:branches', '', asking, 'agencies/branches')
  add('agency:business_areas', '', asking, 'agencies/business_areas')
  add('agency:affiliations', '', asking, 'agencies/affiliations')
  add('location:areas', '', asking, 'locations/list')
  return asked
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
