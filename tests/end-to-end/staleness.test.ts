import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { Client } from 'pg'
import { createProxy, type Proxy } from '../support/chaos-proxy.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { LONG } from '../support/long.ts'
import { type ProfileWatch, type Sighting, watchProfiles } from '../support/profile-watch.ts'
import { createRedisProxy, type RedisProxy } from '../support/redis-proxy.ts'
import { startSystem, type System } from '../support/system.ts'

/** The long run uses the bound of production, and outages of one minute. */
const BOUND_MS = LONG ? 10_000 : 1_500
/** Length of an outage, in multiples of the bound. */
const OUTAGE_BOUNDS = LONG ? 6 : 2
const PROFILES = 4
/** Pause between two reads of a reader, so that other processes get CPU time. */
const PAUSE_MS = 5

describe('the staleness bound during an outage', function () {
  this.timeout(LONG ? 240_000 : 60_000)

  let database: TestDatabase
  let system: System
  /** Proxies between the invalidator and its servers. The APIs connect directly. */
  let proxyToRedis: RedisProxy
  let proxyToPostgres: Proxy
  /** A session of another client, which may hold a lock. */
  let other: Client
  let profiles: ProfileWatch
  before(async () => {
    database = await createTestDatabase({ seeded: true })
    proxyToRedis = await createRedisProxy()
    proxyToPostgres = await createProxy(database.url)
    await Promise.all([proxyToRedis.listen(), proxyToPostgres.listen()])
    system = await startSystem({
      apis: 2,
      databaseUrl: database.url,
      env: { MAX_STALENESS_MS: `${BOUND_MS}` },
      invalidatorEnv: { REDIS_URL: proxyToRedis.url, DATABASE_URL: proxyToPostgres.url },
    })
    other = new Client({ connectionString: system.databaseUrl })
    await other.connect()
    profiles = await watchProfiles(system, system.sql, PROFILES)
  })
  after(async () => {
    await other.end()
    await system[Symbol.asyncDispose]()
    await proxyToRedis[Symbol.asyncDispose]()
    await proxyToPostgres[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
  })

  /** Returns the number of loads that store their value. On a busy machine some reads bypass Redis. */
  const loads = async () =>
    (await system.metric('spms_cache_loads_total', 'resource="staff:profile"')) -
    (await system.metric('spms_cache_reads_total', 'resource="staff:profile",outcome="bypass"'))

  /** Reads all profiles from both processes for this time. Two profiles change continuously. */
  async function readFor(ms: number) {
    const untilMs = performance.now() + ms
    const seen: Sighting[] = []
    const writing = (async () => {
      for (let n = 0; performance.now() < untilMs; n++) {
        const id = profiles.ids[n % 2] as string
        await profiles.write(id)
        seen.push(await profiles.read(id, n % 2))
        await sleep(PAUSE_MS)
      }
    })()
    const reading = [0, 1].map(async (api) => {
      for (let n = 0; performance.now() < untilMs; n++) {
        seen.push(await profiles.read(profiles.ids[n % PROFILES] as string, api))
        await sleep(PAUSE_MS)
      }
    })
    await Promise.all([writing, ...reading])
    return seen
  }

  async function untilAllHit(): Promise<void> {
    for (const id of profiles.ids) {
      await profiles.write(id)
      for (const api of [0, 1]) await profiles.untilHit(id, api)
    }
  }

  const invalidated = () => system.metric('spms_invalidated_keys_total', 'resource="staff:profile"')

  interface Outage {
    readonly what: string
    readonly begin: () => unknown
    readonly end: () => unknown
    /** Whether the invalidator still works, but too slowly. */
    readonly isSlow?: true
  }
  const outages: readonly Outage[] = [
    {
      what: 'while the invalidator is dead',
      begin: () => system.invalidator.kill(),
      end: () => system.invalidator.start(),
    },
    {
      what: 'while the invalidator is suspended',
      begin: () => system.invalidator.freeze(),
      end: () => system.invalidator.thaw(),
    },
    {
      what: 'while only the invalidator cannot reach Redis',
      begin: () => proxyToRedis[Symbol.asyncDispose](),
      end: () => proxyToRedis.listen(),
    },
    {
      what: 'while only the invalidator cannot reach Postgres',
      begin: () => proxyToPostgres[Symbol.asyncDispose](),
      end: () => proxyToPostgres.listen(),
    },
    {
      what: 'while the watermark does not advance because a window waits for a lock',
      begin: () =>
        other.query('begin; lock table invalidation.retention_floor in access exclusive mode'),
      end: () => other.query('commit'),
    },
    {
      what: 'while each answer of Postgres to the invalidator takes as long as the bound',
      begin: () => (proxyToPostgres.delayMs = BOUND_MS),
      end: () => (proxyToPostgres.delayMs = 0),
      isSlow: true,
    },
  ]
  for (const { what, begin, end, isSlow } of outages) {
    it(`limits the age of fresh answers and the number of loads ${what}`, async () => {
      await untilAllHit()
      const invalidatedBefore = isSlow ? await invalidated() : 0
      await begin()
      const loadsBefore = await loads()
      const seen = await readFor(OUTAGE_BOUNDS * BOUND_MS)
      const loaded = (await loads()) - loadsBefore
      await end()

      const stalest = Math.max(...seen.map(({ staleMs }) => staleMs))
      // Answers become stale during the outage, but only up to the bound.
      expect(stalest).to.be.within(BOUND_MS / 2, BOUND_MS)
      // One load for each entry and bound over both processes, and one at the start.
      const refills = PROFILES * (OUTAGE_BOUNDS + 1)
      expect(loaded).to.be.at.most(
        refills + (isSlow ? (await invalidated()) - invalidatedBefore : 0),
      )
      const hits = seen.filter(({ cache }) => cache === 'hit').length
      expect(hits / seen.length).to.be.above(0.8)
      await untilAllHit()
    })
  }
})
