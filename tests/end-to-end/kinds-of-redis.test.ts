import { expect } from 'chai'
import { startPrivateSentinels } from '../support/private-sentinels.ts'
import { startPrivateTlsRedis } from '../support/private-tls-redis.ts'
import { startSystem, type System } from '../support/system.ts'
import { until } from '../support/until.ts'

const PROFILE = 'users/staffprofiles/1/overview'

/** From the cache, then changed by SQL, and from the cache again as it is now. */
async function works({ get, sql }: System, text: string): Promise<void> {
  await until(async () => (await get(PROFILE)).cache === 'hit')
  await sql.query('update users_publicstaffprofile set expertise = $1 where id = 1', [text])
  await until(async () => (await get(PROFILE)).text.includes(text))
  await until(async () => (await get(PROFILE)).cache === 'hit')
  expect((await get(PROFILE)).text).to.contain(text)
}

describe('the Redis may be', function () {
  this.timeout(180_000)

  it('a managed one: encrypted, with a user and a password', async () => {
    await using redis = await startPrivateTlsRedis()
    await using system = await startSystem({
      redisUrl: redis.url,
      env: { NODE_EXTRA_CA_CERTS: redis.authority },
    })
    await works(system, 'over TLS')
  })

  it('whichever master the sentinels name, also after they have elected another', async () => {
    // Beside other tests a server may well not answer for two seconds, and another would be elected.
    await using redis = await startPrivateSentinels(6_000)
    await using system = await startSystem({ redisUrl: redis.url })
    await works(system, 'on the first master')
    await redis.failOver()
    await works(system, 'on the second master')
  })
})
