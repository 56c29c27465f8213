import { expect } from 'chai'
import { Client } from 'pg'
import { startSystem, type System } from '../support/system.ts'
import { until } from '../support/until.ts'

const BOUND_MS = 1_500
/** How long something is dead, in bounds. */
const OUTAGE_BOUNDS = 4
const PROFILES = 4

/** Which value a profile had from when; the last one is what it has. */
interface Version {
  readonly value: string
  /** When its commit had returned at the latest. */
  readonly sinceMs: number
}

describe('whatever has died or stopped', function () {
  this.timeout(120_000)

  let system: System
  /** Somebody else's session, which may hold a lock. */
  let other: Client
  let ids: readonly string[]
  before(async () => {
    system = await startSystem({ apis: 2, env: { MAX_STALENESS_MS: `${BOUND_MS}` } })
    other = new Client({ connectionString: system.databaseUrl })
    await other.connect()
    const { rows } = await system.sql.query<{ id: string }>(
      `select p.id from users_publicstaffprofile p join users_user u on u.id = p.user_id
       where not p.is_hidden and u.is_active and u.is_staff order by p.id limit $1`,
      [PROFILES],
    )
    ids = rows.map(({ id }) => id)
  })
  after(async () => {
    await other.end()
    await system[Symbol.asyncDispose]()
  })

  const pathOf = (id: string) => `users/staffprofiles/${id}/hero`
  const loads = () => system.metric('spms_cache_loads_total', 'resource="staff:profile"')
  const histories = new Map<string, Version[]>()
  /** What a browser of each process would hold. */
  const copies = new Map<string, { readonly etag: string; readonly about: string | undefined }>()
  let writes = 0

  async function write(id: string): Promise<void> {
    const value = `value ${++writes}`
    await system.sql.query('update users_publicstaffprofile set about = $1 where id = $2', [
      value,
      id,
    ])
    const history = histories.get(id) ?? []
    histories.set(id, [...history, { value, sinceMs: performance.now() }])
  }

  /** Reads, and says how long before the request what was shown had been superseded. */
  async function read(id: string, api: number) {
    const askedAtMs = performance.now()
    const history = histories.get(id) ?? []
    const copy = copies.get(`${api} ${id}`)
    const reply = await system.get(pathOf(id), copy && { 'If-None-Match': copy.etag }, api)
    expect(reply.status).to.be.oneOf([200, 304])
    const about = reply.status === 304 ? copy?.about : String(JSON.parse(reply.text).about)
    copies.set(`${api} ${id}`, { etag: reply.headers.get('etag') ?? '', about })
    const at = history.findIndex(({ value }) => value === about)
    // A value that is not in the history was written while this was asked for.
    const next = at < 0 ? undefined : history[at + 1]
    return { cache: reply.cache, staleMs: next ? askedAtMs - next.sinceMs : 0 }
  }

  /** Reads everything from both processes for a while; two of them change all the time. */
  async function readFor(ms: number) {
    const untilMs = performance.now() + ms
    const seen: Awaited<ReturnType<typeof read>>[] = []
    const writing = (async () => {
      while (performance.now() < untilMs) {
        const id = ids[writes % 2] as string
        await write(id)
        seen.push(await read(id, writes % 2))
      }
    })()
    const reading = [0, 1].map(async (api) => {
      for (let n = 0; performance.now() < untilMs; n++) {
        seen.push(await read(ids[n % PROFILES] as string, api))
      }
    })
    await Promise.all([writing, ...reading])
    return seen
  }

  async function untilAllHit(): Promise<void> {
    for (const id of ids) {
      await write(id)
      for (const api of [0, 1]) {
        await until(async () => {
          const { text, cache } = await system.get(pathOf(id), {}, api)
          return cache === 'hit' && text.includes(`"${histories.get(id)?.at(-1)?.value}"`)
        })
      }
    }
  }

  const outages = [
    {
      what: 'the invalidator is killed',
      begin: () => system.invalidator.kill(),
      end: () => system.invalidator.start(),
    },
    {
      what: 'the invalidator is held still',
      begin: async () => system.invalidator.freeze(),
      end: async () => system.invalidator.thaw(),
    },
    {
      what: 'the watermark stands still, because the invalidator waits for a lock',
      begin: () => other.query('begin; lock table invalidation.floor in access exclusive mode'),
      end: () => other.query('commit'),
    },
  ]
  for (const { what, begin, end } of outages) {
    it(`${what}: nothing older than the bound is fresh, and load stays absorbed`, async () => {
      await untilAllHit()
      await begin()
      const loadsBefore = await loads()
      const seen = await readFor(OUTAGE_BOUNDS * BOUND_MS)
      const loaded = (await loads()) - loadsBefore
      await end()

      const stalest = Math.max(...seen.map(({ staleMs }) => staleMs))
      // The invalidator is really away, and the bound is what keeps answers young.
      expect(stalest).to.be.within(BOUND_MS / 2, BOUND_MS)
      // Once for each entry and bound, in both processes together; and where the first one began.
      expect(loaded).to.be.at.most(PROFILES * (OUTAGE_BOUNDS + 1))
      const hits = seen.filter(({ cache }) => cache === 'hit').length
      expect(hits / seen.length).to.be.above(0.8)
      await untilAllHit()
    })
  }
})
