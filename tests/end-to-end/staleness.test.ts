import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { Client } from 'pg'
import { createProxy, type Proxy } from '../support/chaos-proxy.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { testRedisServerUrl } from '../support/invalidator.ts'
import { type ProfileWatch, type Sighting, watchProfiles } from '../support/profile-watch.ts'
import { startSystem, type System } from '../support/system.ts'

const LONG = process.env.SPMS_LONG === '1'
/** The long run takes the bound as it is in production, and lets everything be dead for a minute. */
const BOUND_MS = LONG ? 10_000 : 1_500
/** How long something is dead, in bounds. */
const OUTAGE_BOUNDS = LONG ? 6 : 3
const PROFILES = 4
/** Between two reads of one reader, so that others on the machine come to something as well. */
const PAUSE_MS = 5

describe('whatever has died or stopped', function () {
  this.timeout(LONG ? 240_000 : 60_000)

  let database: TestDatabase
  let system: System
  /** The invalidator's own ways to Redis and Postgres; the API has others. */
  let wayToRedis: Proxy
  let wayToPostgres: Proxy
  /** Somebody else's session, which may hold a lock. */
  let other: Client
  let profiles: ProfileWatch
  before(async () => {
    database = await createTestDatabase({ seeded: true })
    wayToRedis = await createProxy(testRedisServerUrl())
    wayToPostgres = await createProxy(database.url)
    await Promise.all([wayToRedis.listen(), wayToPostgres.listen()])
    system = await startSystem({
      apis: 2,
      databaseUrl: database.url,
      env: { MAX_STALENESS_MS: `${BOUND_MS}` },
      invalidatorEnv: { REDIS_URL: wayToRedis.url, DATABASE_URL: wayToPostgres.url },
    })
    other = new Client({ connectionString: system.databaseUrl })
    await other.connect()
    profiles = await watchProfiles(system, system.sql, PROFILES)
  })
  after(async () => {
    await other.end()
    await system[Symbol.asyncDispose]()
    await wayToRedis[Symbol.asyncDispose]()
    await wayToPostgres[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
  })

  /** Loads that fill; a machine that is busy with something else lets some of Redis' answers come too late. */
  const loads = async () =>
    (await system.metric('spms_cache_loads_total', 'resource="staff:profile"')) -
    (await system.metric('spms_cache_reads_total', 'resource="staff:profile",outcome="bypass"'))

  /** Reads everything from both processes for a while; two of them change all the time. */
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
    /** It still invalidates, only too late. */
    readonly isSlow?: true
  }
  const outages: readonly Outage[] = [
    {
      what: 'the invalidator is killed',
      begin: () => system.invalidator.kill(),
      end: () => system.invalidator.start(),
    },
    {
      what: 'the invalidator is held still',
      begin: () => system.invalidator.freeze(),
      end: () => system.invalidator.thaw(),
    },
    {
      what: 'Redis is cut off from the invalidator, and from nobody else',
      begin: () => wayToRedis[Symbol.asyncDispose](),
      end: () => wayToRedis.listen(),
    },
    {
      what: 'Postgres is cut off from the invalidator, and from nobody else',
      begin: () => wayToPostgres[Symbol.asyncDispose](),
      end: () => wayToPostgres.listen(),
    },
    {
      what: 'the watermark stands still, because a window waits for a lock',
      begin: () =>
        other.query('begin; lock table invalidation.retention_floor in access exclusive mode'),
      end: () => other.query('commit'),
    },
    {
      what: 'Postgres lets the invalidator wait as long as the bound for each answer',
      begin: () => (wayToPostgres.delayMs = BOUND_MS),
      end: () => (wayToPostgres.delayMs = 0),
      isSlow: true,
    },
  ]
  for (const { what, begin, end, isSlow } of outages) {
    it(`${what}: nothing older than the bound is fresh, and load stays absorbed`, async () => {
      await untilAllHit()
      const invalidatedBefore = isSlow ? await invalidated() : 0
      await begin()
      const loadsBefore = await loads()
      const seen = await readFor(OUTAGE_BOUNDS * BOUND_MS)
      const loaded = (await loads()) - loadsBefore
      await end()

      const stalest = Math.max(...seen.map(({ staleMs }) => staleMs))
      // The invalidator is really away, and the bound is what keeps answers young.
      expect(stalest).to.be.within(BOUND_MS / 2, BOUND_MS)
      // Once for each entry and bound, in both processes together; and where the first one began.
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
