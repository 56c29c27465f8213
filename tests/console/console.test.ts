import { expect } from 'chai'
import { ensureConsole } from '../../scripts/build-console.ts'
import { decodeValue, encodeValue, type Redis } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import { type PrivateRedis, startPrivateRedis } from '../support/private-redis.ts'
import { type Invalidator, startSystem, type System } from '../support/system.ts'
import { openTestClient } from '../support/test-client.ts'
import { until } from '../support/until.ts'
import { openEventStream } from './event-stream.ts'

const TOKEN = 'a token that only the tests know'
const SECRET_TEXT = 'confidential expertise'

interface Overview {
  readonly headline: {
    readonly kind: string
    readonly text: string
    readonly remedy: string | null
  }
  readonly findings: readonly { readonly what: string }[]
  readonly processes: readonly {
    readonly id: string
    readonly application: string
    readonly version: string
    readonly owned: readonly string[]
  }[]
  readonly points: readonly Readonly<Record<string, number | null>>[]
  readonly isRedisUp: boolean
  readonly canFlush: boolean
}

interface Explained {
  readonly status: number | null
  readonly entries: readonly {
    readonly resource: string
    readonly key: string
    readonly bareKey: string
    readonly variants: readonly { readonly name: string; readonly state: string }[]
    readonly changes: readonly { readonly table: string }[]
  }[]
}

const get = async <T>(address: string, path: string): Promise<T> =>
  (await (await fetch(`${address}/${path}`)).json()) as T
const overviewOf = (address: string) => get<Overview>(address, 'console/overview')

const post = (address: string, path: string, what: string, headers: Record<string, string> = {}) =>
  fetch(`${address}/${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify({ what }),
  })

describe('console', function () {
  this.timeout(120_000)
  let server: PrivateRedis
  let system: System
  let redis: Redis
  let address: string
  let profile: string

  before(async () => {
    await ensureConsole()
    server = await startPrivateRedis()
    redis = await openTestClient(server.url)
    await redis.config('SET', 'maxmemory-policy', 'volatile-lfu')
    system = await startSystem({
      redisUrl: server.url,
      invalidatorEnv: { CONSOLE_TOKEN: TOKEN },
    })
    address = system.invalidator.console
    const { rows } = await system.sql.query<{ id: string }>(
      `select p.id from users_publicstaffprofile p join users_user u on u.id = p.user_id
       where not p.is_hidden and u.is_active and u.is_staff order by p.id limit 1`,
    )
    profile = rows[0]?.id ?? ''
    await until(async () => (await overviewOf(address)).headline.kind === 'right')
  })
  after(async () => {
    redis?.disconnect()
    await system?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  const change = () =>
    system.sql.query(
      `update users_publicstaffprofile set expertise = $1 || clock_timestamp() where id = $2`,
      [SECRET_TEXT, profile],
    )

  /** Reads the profile until it is a hit. */
  const warm = () =>
    until(async () => (await system.get(`users/staffprofiles/${profile}/overview`)).cache === 'hit')

  describe('GET /', () => {
    it('returns a page that runs no inline script and contacts no other server', async () => {
      const response = await fetch(`${address}/`)
      const html = await response.text()
      expect(response.status).to.equal(200)
      expect(response.headers.get('content-security-policy')).to.match(
        /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';/,
      )
      expect(html).not.to.match(/<script(?![^>]* src=)|<style|https?:\/\//)
      for (const [, path] of html.matchAll(/(?:src|href)="\.(\/assets\/[^"]+)"/g)) {
        const asset = await fetch(`${address}${path}`)
        expect(asset.status, path).to.equal(200)
        expect(asset.headers.get('cache-control')).to.contain('immutable')
      }
    })

    it('is at most 120 KB compressed, with all that it loads', async () => {
      const html = await (await fetch(`${address}/`)).text()
      const paths = [...html.matchAll(/(?:src|href)="\.(\/[^"]+)"/g)].map(([, path]) => path)
      const sizes = await Promise.all(
        ['/', ...paths].map(async (path) => {
          const response = await fetch(`${address}${path}`, {
            headers: { 'Accept-Encoding': 'gzip' },
          })
          return Number(response.headers.get('content-length'))
        }),
      )
      expect(paths.length).to.be.above(1)
      expect(sizes.reduce((sum, size) => sum + size, 0)).to.be.within(10_000, 120_000)
    })

    it('leaves other paths of the port alone, and rejects other methods with 405', async () => {
      expect((await fetch(`${address}/readyz`)).status).to.equal(200)
      expect((await fetch(`${address}/unknown`)).status).to.equal(404)
      expect((await fetch(`${address}/assets/..%2f..%2fmain.ts`)).status).to.equal(404)
      const response = await fetch(`${address}/console/overview`, { method: 'DELETE' })
      expect(response.status).to.equal(405)
      expect(response.headers.get('allow')).to.equal('GET, HEAD')
    })

    it('is not served by the public port', async () => {
      for (const path of ['/', '/events', '/console/overview', '/console/entries']) {
        expect((await fetch(`${system.apis[0]}${path}`)).status, path).to.equal(404)
      }
    })
  })

  describe('GET /console/overview', () => {
    it('lists all processes with versions, and who owns which resources', async () => {
      await until(async () => (await overviewOf(address)).processes.length === 2)
      const { processes } = await overviewOf(address)
      const names = processes.map(({ application }) => application)
      expect(names).to.have.members(['spms-api', 'spms-invalidator'])
      const owned = processes.flatMap((one) => one.owned)
      expect(owned).to.have.members(catalog.map(({ name }) => name))
    })

    it('states until when all changes are applied, and the share of hits', async () => {
      await warm()
      await until(async () => {
        await system.get(`users/staffprofiles/${profile}/overview`)
        const { text } = (await overviewOf(address)).headline
        return /^All changes committed until \d\.\d s ago are applied; \d+ % of reads are hits\.$/.test(
          text,
        )
      })
    })

    it('has points with reads, events, delays, memory and the age of the oldest watermark', async () => {
      await until(async () => {
        await system.get(`users/staffprofiles/${profile}/overview`)
        await change()
        const { points } = await overviewOf(address)
        return [
          'hits',
          'misses',
          'events',
          'saved',
          'lagP50Ms',
          'lagP99Ms',
          'redisBytes',
          'watermarkAgeMs',
        ].every((name) => points.some((point) => (point[name] ?? 0) > 0))
      })
    })

    it('returns only points after the given time', async () => {
      const { points } = await overviewOf(address)
      const last = points.at(-1)?.atMs
      const later = await get<Overview>(address, `console/overview?after=${last}`)
      expect(later.points.every(({ atMs }) => Number(atMs) > Number(last))).to.equal(true)
      expect(later.points.length).to.be.below(points.length)
    })

    it('reports a disabled trigger with its remedy, until it is enabled again', async () => {
      await system.sql.query('alter table agencies_branch disable trigger zz_invalidation_update')
      await until(async () => (await overviewOf(address)).headline.kind === 'wrong')
      const { headline } = await overviewOf(address)
      expect(headline.text).to.match(/^The triggers on agencies_branch are missing, disabled/)
      expect(headline.remedy).to.equal('npm run spms -- install')
      await system.sql.query(
        'alter table agencies_branch enable always trigger zz_invalidation_update',
      )
      await until(async () => (await overviewOf(address)).headline.kind === 'right')
    })
  })

  describe('GET /events', () => {
    it('sends a change with its columns, the entries that it invalidates and the delay, but no value', async () => {
      await using stream = await openEventStream(address)
      await until(() => stream.isReady)
      await change()
      const key = `staff:profile:${profile}`
      await until(() =>
        stream.changes.some(({ entries }) => entries.some((one) => one.key === key)),
      )
      const found = stream.changes.find(({ entries }) => entries.some((one) => one.key === key))
      expect(found).to.include({ operation: 'update', table: 'users_publicstaffprofile', rows: 1 })
      expect(found?.columns).to.deep.equal(['expertise'])
      expect(found?.delayMs).to.be.within(0, 60_000)
      expect(found?.entries).to.deep.include({ resource: 'staff:profile', key })
      expect(stream.text).not.to.contain(SECRET_TEXT)
    })

    it('sends only changes that match table, resource and key', async () => {
      const key = `staff:profile:${profile}`
      await using all = await openEventStream(address)
      const queries = [
        'table=users_publicstaffprofile',
        'resource=staff:profile',
        `key=${key}`,
        'table=agencies_branch',
        'resource=agency:branches',
        'key=staff:profile:none',
      ]
      const streams = await Promise.all(queries.map((query) => openEventStream(address, query)))
      await until(() => all.isReady && streams.every(({ isReady }) => isReady))
      await change()
      await system.sql.query(
        `update agencies_branch set name = name || '.' where id = (select min(id) from agencies_branch)`,
      )
      await until(() => all.changes.some(({ table }) => table === 'agencies_branch'))
      await until(() => streams[3]?.changes.length === 1 && streams[4]?.changes.length === 1)
      const tables = streams.map(({ changes }) => changes.map(({ table }) => table))
      const [own, branch] = [['users_publicstaffprofile'], ['agencies_branch']]
      expect(tables).to.deep.equal([own, own, own, branch, branch, []])
      for (const stream of streams) await stream[Symbol.asyncDispose]()
    })

    it('begins with as many of the last changes as requested', async () => {
      await change()
      const changesOf = async (history: number) => {
        await using stream = await openEventStream(address, `history=${history}`)
        await until(() => stream.isReady)
        return stream.changes.length
      }
      await until(async () => (await changesOf(500)) > 1)
      expect(await changesOf(0)).to.equal(0)
      expect(await changesOf(1)).to.equal(1)
    })

    it('reports a flush with its resource and reason', async () => {
      await using stream = await openEventStream(address)
      await until(() => stream.isReady)
      await system.sql.query(`select invalidation.flush('agency:branches')`)
      await until(() => stream.changes.length > 0)
      const [found] = stream.changes
      expect(found?.flushed).to.deep.equal([{ resource: 'agency:branches', reason: 'flush' }])
    })
  })

  describe('GET /console/resources', () => {
    it('returns key, TTL, entries, bytes, reads, loads and rules of every resource', async () => {
      await warm()
      interface Shown {
        readonly name: string
        readonly usage: { readonly entries: number; readonly bytes: number | null }
        readonly hits: number
      }
      const find = async () =>
        (await get<Shown[]>(address, 'console/resources')).find(
          ({ name }) => name === 'staff:profile',
        )
      await until(
        async () => ((await find())?.hits ?? 0) > 0 && ((await find())?.usage.entries ?? 0) > 0,
      )
      const found = await find()
      expect(found).to.include({ key: 'staff:profile:{profile_id}', ttlMs: 3_600_000 })
      expect(found?.usage.bytes).to.be.above(0)
      const all = await get<Shown[]>(address, 'console/resources')
      expect(all.map(({ name }) => name)).to.deep.equal(catalog.map(({ name }) => name))
    })
  })

  describe('GET /console/explain', () => {
    const explain = (what: string, more = '') =>
      get<Explained>(address, `console/explain?what=${encodeURIComponent(what)}${more}`)

    it('explains a key, with or without prefix and version', async () => {
      await warm()
      const bare = await explain(`staff:profile:${profile}`)
      const full = await explain(`${system.prefix}/v1/staff:profile:${profile}`)
      expect(full.entries.map(({ key }) => key)).to.deep.equal(bare.entries.map(({ key }) => key))
      expect(bare.status).to.equal(null)
      expect(bare.entries[0]?.variants).to.satisfy(
        (variants: Explained['entries'][0]['variants']) =>
          variants.some(({ name, state }) => name === 'overview' && state === 'cached'),
      )
    })

    it('lists the last changes that invalidated the entry', async () => {
      await change()
      await until(async () => {
        const { entries } = await explain(`staff:profile:${profile}`)
        return entries[0]?.changes[0]?.table === 'users_publicstaffprofile'
      })
    })

    it('explains the entries that a URL reads, for a user too', async () => {
      await until(async () => (await fetch(`${address}/console/explain?what=/api/v1/x`)).ok)
      const anonymous = await explain(`/api/v1/users/staffprofiles/${profile}/overview`)
      expect(anonymous.status).to.equal(200)
      expect(anonymous.entries.map(({ bareKey }) => bareKey)).to.deep.equal([
        `staff:profile:${profile}`,
      ])
      expect((await explain('/api/v1/users/me')).status).to.equal(401)
      const { rows } = await system.sql.query<{ id: string }>(
        'select min(id)::text as id from users_user where is_active',
      )
      const me = await explain('/api/v1/users/me', `&as=${rows[0]?.id}`)
      expect(me.status).to.equal(200)
      expect(me.entries.map(({ resource }) => resource)).to.include('user:me')
    })

    it('rejects what is neither a key nor a URL, and a user that does not exist', async () => {
      for (const [query, reason] of [
        ['what=nothing', /is not a key; keys have the form/],
        ['what=', /what: is not set/],
        ['what=/api/v1/users/me&as=99999999', /user 99999999 does not exist/],
      ] as const) {
        const response = await fetch(`${address}/console/explain?${query}`)
        expect(response.status, query).to.be.oneOf([400, 422])
        expect(((await response.json()) as { detail: string }).detail).to.match(reason)
      }
    })
  })

  describe('POST /console/verification', () => {
    const outcomes = async () => {
      const response = await post(
        address,
        'console/verification',
        `${system.prefix}/v1/staff:profile:${profile}`,
      )
      expect(response.status).to.equal(200)
      const found = (await response.json()) as { variant: string; outcome: string }[]
      return found.flatMap(({ variant, outcome }) => (variant === 'overview' ? [outcome] : []))
    }

    it('finds a right value right, and a wrong one wrong without deleting it', async () => {
      await warm()
      expect(await outcomes()).to.deep.equal(['right'])
      const key = `${system.prefix}/v1/staff:profile:${profile}`
      const stored = decodeValue(await redis.hgetBuffer(key, 'overview'))
      if (stored === null) throw new Error('nothing is cached')
      const { encoding: _encoding, ...plain } = stored
      const forged = encodeValue({ ...plain, etag: '"forged"', body: Buffer.from('{}') })
      await redis.hset(key, 'overview', forged)
      expect(await outcomes()).to.deep.equal(['wrong'])
      expect(await redis.hexists(key, 'overview')).to.equal(1)
      await redis.unlink(key)
    })
  })

  describe('POST /console/flush', () => {
    const flush = (headers: Record<string, string> = {}, what = 'staff:profile') =>
      post(address, 'console/flush', what, headers)
    const authorized = { Authorization: `Bearer ${TOKEN}` }

    it('rejects requests without the token with 401, and those of other sites with 403', async () => {
      expect((await flush()).status).to.equal(401)
      expect((await flush({ Authorization: `Bearer ${TOKEN}.` })).status).to.equal(401)
      expect((await flush({ ...authorized, 'Sec-Fetch-Site': 'cross-site' })).status).to.equal(403)
      expect((await flush({ ...authorized, 'Content-Type': 'text/plain' })).status).to.equal(403)
    })

    it('flushes the resources that match, with the token', async () => {
      await warm()
      const response = await flush(authorized)
      expect(await response.json()).to.deep.equal({ resources: ['staff:profile'], isDone: true })
      expect((await system.get(`users/staffprofiles/${profile}/overview`)).cache).to.equal(
        'fwd=miss',
      )
    })

    it('rejects what matches no resource with 422', async () => {
      await until(async () => (await flush(authorized, 'nothing:at:all')).status === 422)
    })

    it('rejects many requests in a short time with 429', async () => {
      const statuses = await Promise.all(
        Array.from({ length: 20 }, async () => (await flush()).status),
      )
      expect(statuses).to.include(429)
    })
  })

  describe('with two invalidators', () => {
    let second: Invalidator

    before(async () => {
      second = await system.addInvalidator({ CONSOLE_TOKEN: '' })
      await until(async () => {
        const { processes } = await overviewOf(second.console)
        const owners = processes.filter(({ owned }) => owned.length > 0)
        return processes.length === 3 && owners.length === 2
      })
    })

    it('is read-only in a process without a token', async () => {
      expect((await overviewOf(second.console)).canFlush).to.equal(false)
      const response = await post(second.console, 'console/flush', 'staff:profile', {
        Authorization: `Bearer ${TOKEN}`,
      })
      expect(response.status).to.equal(403)
    })

    it('shows in each process the entries that the other one invalidates', async () => {
      const streams = await Promise.all(
        [address, second.console].map((one) => openEventStream(one, 'history=0')),
      )
      await until(() => streams.every(({ isReady }) => isReady))
      // Entries of several resources, which the two processes have divided among them.
      await until(async () => {
        await system.sql.query(
          `update users_user set display_last_name = left(md5(random()::text), 8) where id =
             (select user_id from users_publicstaffprofile where id = $1)`,
          [profile],
        )
        const found = streams.map(
          ({ changes }) =>
            new Set(
              changes
                .filter(({ table }) => table === 'users_user')
                .flatMap(({ entries }) => entries.map(({ resource }) => resource)),
            ),
        )
        return found.every((one) => one.size > 3) && found[0]?.size === found[1]?.size
      })
      for (const stream of streams) await stream[Symbol.asyncDispose]()
    })

    it('lists a killed process no longer, and its resources with the other one', async () => {
      await second.kill()
      await until(async () => {
        const { processes } = await overviewOf(address)
        const invalidators = processes.filter(
          ({ application }) => application === 'spms-invalidator',
        )
        return invalidators.length === 1 && invalidators[0]?.owned.length === catalog.length
      })
    })
  })
})

describe('console without Redis', function () {
  this.timeout(120_000)
  let system: System
  let server: PrivateRedis

  before(async () => {
    server = await startPrivateRedis()
    system = await startSystem({ redisUrl: server.url })
  })
  after(async () => {
    await system?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  it('reports that Redis does not answer, what Postgres knows, and that it is back', async () => {
    const address = system.invalidator.console
    await until(async () => (await overviewOf(address)).isRedisUp)
    await server.stop()
    await until(async () => !(await overviewOf(address)).isRedisUp)
    const { headline, findings } = await overviewOf(address)
    expect(headline.text).to.match(/^Redis does not answer/)
    expect(headline.remedy).to.contain('REDIS_URL')
    expect(findings.map(({ what }) => what)).to.include('Redis does not answer')
    await server.start()
    await until(async () => (await overviewOf(address)).isRedisUp)
  })
})
