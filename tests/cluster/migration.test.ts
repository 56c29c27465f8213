import { expect } from 'chai'
import { type PrivateCluster, startPrivateCluster } from '../support/private-cluster.ts'
import { type ProfileWatch, watchProfiles } from '../support/profile-watch.ts'
import { startSystem, type System } from '../support/system.ts'
import { underLoad } from '../support/under-load.ts'

const BOUND_MS = 3_000
const PROFILES = 12

describe('the migration from one Redis to a cluster', function () {
  this.timeout(240_000)
  let cluster: PrivateCluster
  let system: System
  let profiles: ProfileWatch

  before(async () => {
    cluster = await startPrivateCluster()
    system = await startSystem({ apis: 2, env: { MAX_STALENESS_MS: `${BOUND_MS}` } })
    profiles = await watchProfiles(system, system.sql, PROFILES)
  })
  after(async () => {
    await system[Symbol.asyncDispose]()
    await cluster[Symbol.asyncDispose]()
  })

  it('loses no request under load, serves no value older than the staleness bound, and can be undone', async () => {
    const inCluster = { REDIS_URL: cluster.url }
    const seen = await underLoad(profiles, async () => {
      // The steps of docs/operations.md.
      const invalidator = await system.addInvalidator(inCluster)
      await system.replaceApi(0, inCluster)
      // One API reads from each Redis.
      await profiles.write(profiles.ids[0] ?? '')
      await system.replaceApi(1, inCluster)
      await system.invalidator.kill()
      await system.invalidator.start()
      await system.replaceApi(0)
      await system.replaceApi(0, inCluster)
      await invalidator.replace()
    })
    expect(seen.filter(({ cache }) => cache === 'hit')).not.to.be.empty
    expect(Math.max(...seen.map(({ staleMs }) => staleMs))).to.be.below(BOUND_MS)
    const keys = await Promise.all(cluster.nodes.map(({ client }) => client.dbsize()))
    expect(Math.max(...keys)).to.be.greaterThan(0)
    for (const api of [0, 1]) {
      for (const id of profiles.ids) {
        await profiles.write(id)
        await profiles.untilHit(id, api)
      }
    }
  })
})
