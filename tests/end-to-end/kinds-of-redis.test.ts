import { expect } from 'chai'
import { itLong } from '../support/long.ts'
import { startPrivateSentinels } from '../support/private-sentinels.ts'
import { startPrivateTlsRedis } from '../support/private-tls-redis.ts'
import { startSystem, type System } from '../support/system.ts'
import { until } from '../support/until.ts'

const PROFILE = 'users/staffprofiles/1/overview'

/** Expects a cached profile to show a change by SQL, and to be cached again. */
async function expectInvalidation({ get, sql }: System, text: string): Promise<void> {
  await until(async () => (await get(PROFILE)).cache === 'hit')
  await sql.query('update users_publicstaffprofile set expertise = $1 where id = 1', [text])
  await until(async () => (await get(PROFILE)).text.includes(text))
  await until(async () => (await get(PROFILE)).cache === 'hit')
  expect((await get(PROFILE)).text).to.contain(text)
}

describe('the system on other kinds of Redis', function () {
  this.timeout(180_000)

  it('works with TLS, user and password, as on a managed Redis', async () => {
    await using redis = await startPrivateTlsRedis()
    await using system = await startSystem({
      redisUrl: redis.url,
      env: { NODE_EXTRA_CA_CERTS: redis.authority },
    })
    await expectInvalidation(system, 'over TLS')
  })

  itLong('works with Sentinel, before and after a failover', async () => {
    // On a busy machine a server may not answer for 2 s, which would cause an unwanted failover.
    await using redis = await startPrivateSentinels(6_000)
    await using system = await startSystem({ redisUrl: redis.url })
    await expectInvalidation(system, 'on the first master')
    await redis.failOver()
    await expectInvalidation(system, 'on the second master')
  })
})
