import { expect } from 'chai'
import { startSystem, type System } from '../support/system.ts'

describe('an uncached entry', function () {
  this.timeout(60_000)
  let system: System
  before(async () => {
    // Long time-outs: on a busy machine Redis must not count as down.
    system = await startSystem({
      apis: 2,
      env: { REDIS_TIMEOUT_MS: '2000', REDIS_BUDGET_MS: '4000' },
    })
  })
  after(() => system[Symbol.asyncDispose]())

  it('is loaded once for 200 concurrent requests to two API processes', async () => {
    const { rows } = await system.sql.query<{ id: string }>(
      `select p.id from users_publicstaffprofile p join users_user u on u.id = p.user_id
       where not p.is_hidden and u.is_active limit 5`,
    )
    for (const { id } of rows) {
      const loads = () => system.metric('spms_cache_loads_total', 'resource="staff:profile"')
      const before = await loads()
      const replies = await Promise.all(
        Array.from({ length: 200 }, (_, n) => system.get(`users/staffprofiles/${id}`, {}, n % 2)),
      )
      expect(new Set(replies.map(({ status }) => status))).to.deep.equal(new Set([200]))
      expect(new Set(replies.map(({ text }) => text)).size).to.equal(1)
      expect((await loads()) - before).to.equal(1)
    }
  })
})
