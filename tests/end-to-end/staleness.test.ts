import { expect } from 'chai'
import { Client } from 'pg'
import { type ProfileWatch, type Sighting, watchProfiles } from '../support/profile-watch.ts'
import { startSystem, type System } from '../support/system.ts'

const BOUND_MS = 1_500
/** How long something is dead, in bounds. */
const OUTAGE_BOUNDS = 4
const PROFILES = 4

describe('whatever has died or stopped', function () {
  this.timeout(120_000)

  let system: System
  /** Somebody else's session, which may hold a lock. */
  let other: Client
  let profiles: ProfileWatch
  before(async () => {
    system = await startSystem({ apis: 2, env: { MAX_STALENESS_MS: `${BOUND_MS}` } })
    other = new Client({ connectionString: system.databaseUrl })
    await other.connect()
    profiles = await watchProfiles(system, system.sql, PROFILES)
  })
  after(async () => {
    await other.end()
    await system[Symbol.asyncDispose]()
  })

  const loads = () => system.metric('spms_cache_loads_total', 'resource="staff:profile"')

  /** Reads everything from both processes for a while; two of them change all the time. */
  async function readFor(ms: number) {
    const untilMs = performance.now() + ms
    const seen: Sighting[] = []
    const writing = (async () => {
      for (let n = 0; performance.now() < untilMs; n++) {
        const id = profiles.ids[n % 2] as string
        await profiles.write(id)
        seen.push(await profiles.read(id, n % 2))
      }
    })()
    const reading = [0, 1].map(async (api) => {
      for (let n = 0; performance.now() < untilMs; n++) {
        seen.push(await profiles.read(profiles.ids[n % PROFILES] as string, api))
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
