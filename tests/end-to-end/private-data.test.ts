import { expect } from 'chai'
import { decodeValue, inflate } from '../../shared/cache/index.ts'
import { startTestApi } from '../routes/test-api.ts'
import { mountedRoutes } from '../support/mounted-routes.ts'
import { repeat } from '../support/repeat.ts'
import { until } from '../support/until.ts'
import { sessionOf } from './warm/questions.ts'
import { ANY_SECRET, markSecrets, NEVER_CACHED } from './warm/secrets.ts'
import { startWarmSystem, type WarmSystem } from './warm/warm-system.ts'

/**
 * Ids of all kinds of rows, hidden users included. `OTHERS` adds ids of rows that belong to users, and
 * missing and invalid ids.
 */
const IDS = [
  1, 3, 5, 19, 20, 21, 22, 104, 105, 119, 122, 201, 203, 204, 401, 411, 421, 441, 451, 461,
]
const OTHERS = [501, 545, 560, 761, 1505, 1605, 999, 0, '9223372036854775808', 'x', '%00']
const PAIRS = [
  [203, 3],
  [203, 19],
  [204, 5],
]

/** Number of concurrent requests. */
const AT_ONCE = 32
const READERS = 4

describe('private data', function () {
  this.timeout(90_000)
  let warm: WarmSystem
  before(async () => {
    warm = await startWarmSystem(markSecrets)
  })
  after(() => warm[Symbol.asyncDispose]())

  /** Returns the complete answer to a request: status, headers and body. */
  async function bytesOf(method: string, path: string, headers: Record<string, string> = {}) {
    const [address = ''] = warm.system.apis
    const response = await fetch(`${address}${path}`, {
      method,
      headers: { ...headers, ...(BODILESS.has(method) ? {} : JSON_BODY) },
      ...(!BODILESS.has(method) && { body: '{}' }),
    })
    return `${response.status} ${JSON.stringify([...response.headers])} ${await response.text()}`
  }

  async function secretsIn(requests: readonly (readonly [string, string])[]): Promise<string[]> {
    const found: string[] = []
    const left = [...requests]
    const work = async () => {
      for (let next = left.pop(); next; next = left.pop()) {
        const [secret] = ANY_SECRET.exec(await bytesOf(...next)) ?? []
        if (secret !== undefined) found.push(`${next.join(' ')}: ${secret}`)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    return found
  }

  it('is detectable in answers to users', async () => {
    const headers = await sessionOf(20)
    for (const path of ['users/1', 'users/19', 'projects/204', 'projects/203/team']) {
      expect(await bytesOf('GET', `/api/v1/${path}`, headers), path).to.match(ANY_SECRET)
    }
  })

  it('is in no answer to an anonymous request, for any route and id', async () => {
    await using api = await startTestApi()
    const requests = mountedRoutes(api.app).flatMap(({ method, path }) => {
      const paths = pathsOf(path)
      return method === 'get'
        ? paths.flatMap((one) => [['GET', one] as const, ['HEAD', one] as const])
        : paths.map((one) => [method.toUpperCase(), one] as const)
    })
    expect(requests.length).to.be.above(1_000)
    expect(await secretsIn(requests)).to.deep.equal([])
  })

  it('is in no page, filter or search of the staff list, nor in answers to unknown paths', async () => {
    const list = '/api/v1/users/staffprofiles'
    const queries = [
      ...['page=1', 'page=2', 'page=99', 'page=x', 'page_size=1', 'page_size=100', 'page_size=x'],
      ...[401, 402, 403, 404, 405, 'x'].map((id) => `business_area=${id}`),
      ...['a', 'Shown', 'public', '@', '1', '%', '%00', 'hash', 'spms.test'].map(
        (term) => `search=${term}`,
      ),
    ]
    const elsewhere = [
      '/',
      '/api/v1',
      '/api/v1/',
      '/api/v1/users/',
      '/%',
      '/api/v1/users/staffprofiles/105/',
    ]
    const paths = [...queries.map((query) => `${list}?${query}`), ...elsewhere]
    expect(await secretsIn(paths.map((path) => ['GET', path] as const))).to.deep.equal([])
  })

  it('cannot be found by searching the staff list', async () => {
    const { rows } = await warm.system.sql.query<Record<string, string>>(
      `select u.username, u.email, p.employee_id, p.aucode, p.public_email
       from users_user u join users_publicstaffprofile p on p.user_id = u.id where u.id in (4, 19)`,
    )
    for (const term of rows
      .flatMap((row) => Object.values(row))
      .filter((value) => ANY_SECRET.test(value))) {
      const { text } = await warm.system.get(
        `users/staffprofiles?search=${encodeURIComponent(term)}`,
      )
      expect(JSON.parse(text), term).to.deep.equal({
        profiles: [],
        total_results: 0,
        total_pages: 0,
      })
    }
  })

  it('is in no public entry in Redis, and in no entry at all if no user may see it', async () => {
    await warm.warm(warm.entries)
    const found: string[] = []
    let entries = 0
    // Entries with data that users may see of each other.
    let entriesWithSecrets = 0
    for (const key of await warm.redis.keys(`${warm.system.prefix}/*`)) {
      if ((await warm.redis.type(key)) !== 'hash') continue
      const stored = await plainTextOf(await warm.redis.hgetallBuffer(key))
      entries++
      const isPublic = key.includes('/staff:')
      if (!isPublic && ANY_SECRET.test(stored)) entriesWithSecrets++
      const [secret] = (isPublic ? ANY_SECRET : NEVER_CACHED).exec(stored) ?? []
      if (secret !== undefined) found.push(`${key}: ${secret}`)
    }
    expect(entries).to.be.above(100)
    expect(entriesWithSecrets).to.be.above(20)
    expect(found).to.deep.equal([])
  })

  it('of a hidden user is in no answer to a request after the change was applied', async () => {
    const person = 'Appears'
    const { sql } = warm.system
    await sql.query(`update users_user set display_first_name = '${person}' where id = 5`)
    await sql.query(`update users_publicstaffprofile set about = '${person}', expertise = '${person}',
      public_email = '${person}', public_email_on = true where id = 105`)
    await sql.query(`update projects_project set title = '${person}' where id = 205`)
    await warm.untilApplied()

    const paths = [
      'users/staffprofiles',
      'users/staffprofiles?business_area=402',
      `users/staffprofiles?search=${person}`,
      ...['', '/hero', '/overview'].map((section) => `users/staffprofiles/105${section}`),
      'users/5/projects_staff_profile',
    ]
    /** The current state. A read counts only if the state is the same before and after it. */
    let state: 'seen' | 'hidden' | 'changing' = 'seen'
    const counts = { seen: 0, hidden: 0 }
    const wrong: string[] = []
    const readers = Array.from({ length: READERS }, (_, reader) =>
      repeat(async (round) => {
        const path = paths[(round + reader) % paths.length] ?? ''
        const asked = state
        const { text } = await warm.system.get(path)
        if (asked === 'changing' || state !== asked) return
        counts[asked]++
        if (text.includes(person) !== (asked === 'seen')) wrong.push(`${asked}: ${path}`)
      }),
    )
    const inState = async (next: 'seen' | 'hidden') => {
      const { [next]: before } = counts
      state = next
      await until(() => counts[next] >= before + 2 * paths.length)
      state = 'changing'
    }
    for (const [hide, show] of HIDING) {
      await inState('seen')
      await sql.query(hide)
      await warm.untilApplied()
      await inState('hidden')
      await sql.query(show)
      await warm.untilApplied()
    }
    await Promise.all(readers.map((reader) => reader.stop()))
    expect(wrong).to.deep.equal([])
  })
})

/** Returns the text of all variants of an entry, inflated. */
async function plainTextOf(fields: Readonly<Record<string, Buffer>>): Promise<string> {
  const texts = Object.values(fields).map(async (bytes) => {
    const { body, encoding } = decodeValue(bytes) ?? { body: bytes }
    return Buffer.isBuffer(body) ? String(await inflate({ body, encoding })) : ''
  })
  return (await Promise.all(texts)).join('\n')
}

/** Statements that hide user 5, each with its inverse. */
const HIDING = [
  [
    'update users_publicstaffprofile set is_hidden = true where id = 105',
    'update users_publicstaffprofile set is_hidden = false where id = 105',
  ],
  [
    'update users_user set is_active = false where id = 5',
    'update users_user set is_active = true where id = 5',
  ],
] as const

const BODILESS = new Set(['GET', 'HEAD'])
const JSON_BODY = { 'Content-Type': 'application/json' }

/** Returns paths of a route, with existing, missing and invalid ids as parameters. */
function pathsOf(route: string): string[] {
  const names = route.match(/:\w+/g) ?? []
  if (names.length === 0) return [route]
  const values = names.length === 1 ? [...IDS, ...OTHERS].map((id) => [id]) : PAIRS
  return values.map((given) =>
    names.reduce((path, name, at) => path.replace(name, String(given[at])), route),
  )
}
