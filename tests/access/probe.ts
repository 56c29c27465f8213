import { readFile } from 'node:fs/promises'
import { sql } from 'kysely'
import { createMediaRoot, type MediaRoot } from '../files/media.ts'
import { startTestApi, type TestApi } from '../routes/test-api.ts'
import { mountedRoutes } from '../support/mounted-routes.ts'
import { FILES, type Target, targetsOf } from './targets.ts'

const WORLD = new URL('world.sql', import.meta.url)
const BASE = '/api/v1'

/** The kinds of user, each with the id of a user of `world.sql`. Anonymous requests have no session. */
export const KINDS = {
  anonymous: undefined,
  user: 901,
  member: 902,
  leader: 903,
  owner: 904,
  requester: 905,
  covered: 906,
  caretaker: 907,
  staff: 908,
  superuser: 3,
} as const

export type Kind = keyof typeof KINDS

/** `yes` if access is granted, or the status that denies it. */
export type Access = 'yes' | 401 | 403 | 404

/** The answers of one operation to each kind of user, for one target. */
export interface AccessRow {
  /** Such as `PUT`. */
  readonly method: string
  /** Such as `/users/:id`. */
  readonly path: string
  readonly target: string
  readonly access: Readonly<Record<Kind, Access>>
}

/** An API, and the files that it serves. */
export interface ProbedApi extends AsyncDisposable {
  readonly api: TestApi
  readonly media: MediaRoot
}

export async function startProbedApi(): Promise<ProbedApi> {
  const media = await createMediaRoot()
  const api = await startTestApi({ storage: media.storage })
  return {
    api,
    media,
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]()
      await media[Symbol.asyncDispose]()
    },
  }
}

/**
 * Sends a request of each kind of user to every operation, or to some, such as `PUT /users/:id`.
 * @throws if a status is neither success nor 400, 401, 403, 404 or 409.
 */
export async function probeAccess(
  { api, media }: ProbedApi,
  only?: readonly string[],
): Promise<readonly AccessRow[]> {
  const world = await readFile(WORLD, 'utf8')
  const reset = async () => {
    await api.reset()
    // A log-out would end the sessions of the requests after it.
    await sql.raw(`delete from invalidation.session_revocation; ${world}`).execute(api.db)
    for (const path of FILES) await media.put(path, 'content')
  }
  await reset()
  const rows: AccessRow[] = []
  for (const { method, path: mounted } of mountedRoutes(api.app)) {
    const verb = method.toUpperCase()
    const path = mounted.startsWith(`${BASE}/`) ? mounted.slice(BASE.length) : mounted
    if (only && !only.includes(`${verb} ${path}`)) continue
    for (const target of targetsOf(verb, path)) {
      const access = await probe(api, reset, { method: verb, mounted, target })
      rows.push({ method: verb, path, target: target.name, access })
    }
  }
  return rows.toSorted((a, b) => compare(a.path, b.path))
}

interface Probe {
  readonly method: string
  readonly mounted: string
  readonly target: Target
}

async function probe(
  api: TestApi,
  reset: () => Promise<void>,
  { method, mounted, target }: Probe,
): Promise<AccessRow['access']> {
  const { params = {}, query, body, prepare } = target
  const path = mounted.replaceAll(/:(\w+)/g, (_, name: string) => params[name] ?? '')
  const asked = query === undefined ? path : `${path}?${query}`
  const ask = async ([kind, as]: [string, number | undefined]): Promise<[string, Access]> => {
    const { status } = await api.send(method, asked, { ...(as && { as }), ...(body && { body }) })
    // A PUT without a body writes nothing.
    const isWritten = method !== 'GET' && status < 300 && (method !== 'PUT' || body !== undefined)
    if (isWritten) await reset()
    if (isWritten && prepare) await sql.raw(prepare).execute(api.db)
    return [kind, accessOf(status, `${method} ${asked} as ${kind}`)]
  }
  if (prepare) await sql.raw(prepare).execute(api.db)
  const kinds = Object.entries(KINDS)
  const answers: [string, Access][] = method === 'GET' ? await Promise.all(kinds.map(ask)) : []
  if (method !== 'GET') for (const kind of kinds) answers.push(await ask(kind))
  if (prepare) await reset()
  return Object.fromEntries(answers) as AccessRow['access']
}

function accessOf(status: number, request: string): Access {
  if (status === 401 || status === 403 || status === 404) return status
  if (status < 300 || status === 400 || status === 409) return 'yes'
  throw new Error(`${request} returned the unexpected status ${status}`)
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
