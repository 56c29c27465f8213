import { parseSetCookie } from 'cookie'
import { expect } from 'chai'
import { createSessions } from '../../api/session/session.ts'
import { LONG } from '../support/long.ts'
import { type PrivatePostgres, startPrivatePostgres } from '../support/private-postgres.ts'
import { sessionHeaders } from '../support/session-headers.ts'
import { type Invalidator, startSystem, type System, SYSTEM_SECRET } from '../support/system.ts'
import { until } from '../support/until.ts'

const PAIRS = LONG ? 100_000 : 120
const AUTHORS = 4
/** Browser tabs of each author: the field that is written, and the section that shows it. */
const TABS = [
  { field: 'about', section: 'hero' },
  { field: 'expertise', section: 'overview' },
] as const
const OTHER_INVALIDATORS = 2
const CRASHES = LONG ? 20 : 1
/** Each invalidator runs, and is dead, for at most this number of pairs. */
const MOST_BETWEEN = LONG ? 500 : 60
/** One of this number of pairs is read without a token, to show that stale values exist. */
const WITHOUT_TOKEN = 10

/** A user who writes and reads a profile. */
interface Author {
  readonly profileId: string
  readonly session: string
  /** Cookies of the browser, shared by its tabs. */
  readonly jar: Map<string, string>
}

type Tab = (typeof TABS)[number]

describe('a client with a consistency token', function () {
  this.timeout(LONG ? 7_200_000 : 600_000)

  let postgres: PrivatePostgres
  let system: System
  let invalidators: readonly Invalidator[]
  let authors: readonly Author[]

  before(async () => {
    postgres = await startPrivatePostgres()
    system = await startSystem({ apis: 2, databaseUrl: postgres.url })
    const others = Array.from({ length: OTHER_INVALIDATORS }, () => system.addInvalidator())
    invalidators = [system.invalidator, ...(await Promise.all(others))]
    const { rows } = await system.sql.query<{ id: string; user_id: string; password: string }>(
      `select p.id, u.id as user_id, u.password
       from users_publicstaffprofile p join users_user u on u.id = p.user_id
       where not p.is_hidden and u.is_active and u.is_staff order by p.id limit $1`,
      [AUTHORS],
    )
    const sessions = createSessions([SYSTEM_SECRET])
    authors = await Promise.all(
      rows.map(async ({ id, user_id, password }) => ({
        profileId: id,
        session: await sessions.issue(user_id, password),
        jar: new Map(),
      })),
    )
  })
  after(async () => {
    await system[Symbol.asyncDispose]()
    await postgres[Symbol.asyncDispose]()
  })

  const path = ({ profileId }: Author) => `users/staffprofiles/${profileId}`
  const cookiesOf = ({ jar }: Author) => [...jar].map((pair) => pair.join('=')).join('; ')

  /** Repeats a request while it gets 503, as during a restart of Postgres. */
  async function retryUnavailable<T extends { readonly status: number }>(
    ask: () => Promise<T>,
  ): Promise<T> {
    let reply = await ask()
    await until(async () => reply.status !== 503 || (reply = await ask()).status !== 503)
    return reply
  }

  /** Writes through one process and stores the cookies. Returns the token. */
  async function write(
    author: Author,
    field: Tab['field'],
    value: string,
    api: number,
  ): Promise<string> {
    const { Cookie, ...csrf } = await sessionHeaders(author.session)
    const response = await retryUnavailable(() =>
      fetch(`${system.apis[api]}/api/v1/${path(author)}`, {
        method: 'PUT',
        headers: {
          'Content-Type': 'application/json',
          Cookie: `${Cookie}; ${cookiesOf(author)}`,
          ...csrf,
        },
        body: JSON.stringify({ [field]: value }),
      }),
    )
    expect(response.status, await response.text()).to.equal(200)
    for (const cookie of response.headers.getSetCookie()) {
      const { name, value = '', maxAge } = parseSetCookie(cookie)
      if (maxAge === 0) author.jar.delete(name)
      else author.jar.set(name, value)
    }
    return response.headers.get('consistency-token') ?? ''
  }

  interface Seen {
    /** Reads with a token that returned an older value than the write. */
    broken: number
    /** Reads without a token that returned an older value. */
    older: number
    /** Reads that bypassed the cache because of their token. */
    own: number
  }

  /** Writes, then reads the value from any process. Pairs alternate between token header and cookies. */
  async function pair(
    author: Author,
    { field, section }: Tab,
    n: number,
    seen: Seen,
  ): Promise<void> {
    const shown = `${path(author)}/${section}`
    const value = `pair ${n}`
    // Other clients read too, so that the cache contains an older value.
    const before = await system.get(shown, {}, n % 2)
    let token = await write(author, field, value, (n >> 1) % 2)
    // Repeats the write, as after a lost answer. It changes nothing.
    if (n % 5 === 0) token = await write(author, field, value, n % 2)
    const hasToken = n % WITHOUT_TOKEN !== 0
    const tokens = n % 2 === 0 ? { 'Consistency-Token': token } : { Cookie: cookiesOf(author) }
    const headers = {
      ...(hasToken && tokens),
      // The value has changed, so the answer must not be 304.
      ...(n % 3 === 0 && { 'If-None-Match': before.headers.get('etag') ?? '' }),
    }
    const reply = await retryUnavailable(() => system.get(shown, headers, (n >> 2) % 2))
    const isSeen = reply.status === 200 && reply.text.includes(`"${value}"`)
    if (!isSeen && hasToken) seen.broken++
    if (!isSeen && !hasToken) seen.older++
    if (reply.headers.get('cache-status')?.includes('detail=consistency')) seen.own++
  }

  it(`reads its own ${PAIRS} writes in two tabs while invalidators are killed and Postgres crashes`, async () => {
    const seen: Seen = { broken: 0, older: 0, own: 0 }
    let n = 0
    const working = Promise.all(
      authors.flatMap((author) =>
        TABS.map(async (tab) => {
          while (n < PAIRS) await pair(author, tab, ++n, seen)
        }),
      ),
    )
    let hasEnded = false
    const ended = working.finally(() => (hasEnded = true))
    // Prevents an unhandled rejection while this waits for an invalidator.
    ended.catch(() => {})
    const isDone = () => hasEnded
    const killNowAndThen = async ({ kill, start }: Invalidator) => {
      // All invalidators are dead at first, so that stale values exist.
      let at = 0
      while (!isDone()) {
        for (const next of [kill, start]) {
          await until(() => isDone() || n >= at)
          await next()
          at = n + Math.ceil(MOST_BETWEEN * Math.random())
        }
      }
    }
    const crashNowAndThen = async () => {
      for (let crash = 1; crash <= CRASHES; crash++) {
        await until(() => isDone() || n >= (crash * PAIRS) / (CRASHES + 1))
        await postgres.crash()
        await postgres.start()
      }
    }
    await Promise.all([...invalidators.map(killNowAndThen), crashNowAndThen()])
    await ended
    expect(seen.broken).to.equal(0)
    // Reads without a token returned stale values, and reads with one bypassed the cache.
    expect(seen.older).to.be.above(0)
    expect(seen.own).to.be.above(0)
  })

  it('reads from the cache again when that contains its write', async () => {
    const [author] = authors as [Author]
    const token = await write(author, 'about', 'the last', 0)
    for (const api of [0, 1]) {
      await until(async () => {
        const hero = `${path(author)}/hero`
        const { text, cache } = await system.get(hero, { 'Consistency-Token': token }, api)
        expect(text).to.contain('"the last"')
        return cache === 'hit'
      })
    }
  })
})
