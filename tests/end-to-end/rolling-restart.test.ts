import { expect } from 'chai'
import { LOCK_CLASS } from '../../db/event-log/index.ts'
import { type ProfileWatch, watchProfiles } from '../support/profile-watch.ts'
import { startSystem, type System } from '../support/system.ts'
import { underLoad } from '../support/under-load.ts'
import { until } from '../support/until.ts'

const BOUND_MS = 3_000
const PROFILES = 12
/** 2 s, and more on a busy machine. */
const SHARED_OUT_MS = 6_000

describe('a rolling restart under load', function () {
  this.timeout(240_000)
  let system: System
  let profiles: ProfileWatch

  before(async () => {
    system = await startSystem({ apis: 2, env: { MAX_STALENESS_MS: `${BOUND_MS}` } })
    profiles = await watchProfiles(system, system.sql, PROFILES)
  })
  after(() => system[Symbol.asyncDispose]())

  it('loses no request and serves no value older than the staleness bound', async () => {
    const seen = await underLoad(profiles, async () => {
      await system.replaceApi(0)
      await system.invalidator.replace()
      await system.replaceApi(1)
      await system.invalidator.replace()
    })
    expect(seen.filter(({ cache }) => cache === 'hit')).not.to.be.empty
    expect(Math.max(...seen.map(({ staleMs }) => staleMs))).to.be.below(BOUND_MS)
    for (const api of [0, 1]) {
      for (const id of profiles.ids) {
        await profiles.write(id)
        await profiles.untilHit(id, api)
      }
    }
  })

  it('redistributes resources when invalidators start and stop, and serves no value older than the bound', async () => {
    // Excludes locks of this class: a replica holds the sleep lock on its own connection.
    const owners = async () => {
      const { rows } = await system.sql.query<{ owners: number }>(
        `select count(distinct pid)::integer as owners from pg_locks l
         join pg_stat_activity using (pid)
         where locktype = 'advisory' and l.mode = 'ExclusiveLock' and l.objsubid = 2 and granted
           and classid::bigint <> ${LOCK_CLASS}
           and application_name like 'spms-invalidator%' and datname = current_database()`,
      )
      return rows[0]?.owners
    }
    const untilOwners = async (count: number) => {
      const startedMs = performance.now()
      await until(async () => (await owners()) === count)
      return performance.now() - startedMs
    }
    const times: number[] = []
    const seen = await underLoad(profiles, async () => {
      const others = await Promise.all([system.addInvalidator(), system.addInvalidator()])
      times.push(await untilOwners(3))
      for (const other of others) await other.kill()
      times.push(await untilOwners(1))
    })
    for (const ms of times) expect(ms).to.be.below(SHARED_OUT_MS)
    expect(Math.max(...seen.map(({ staleMs }) => staleMs))).to.be.below(BOUND_MS)
  })
})
