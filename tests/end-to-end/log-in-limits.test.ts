import { expect } from 'chai'
import { Redis } from 'ioredis'
import { ADMIN_USERNAME, DEVELOPMENT_PASSWORD } from '../../scripts/seed/people.ts'
import { type PrivateRedis, startPrivateRedis } from '../support/private-redis.ts'
import { startSystem, type System } from '../support/system.ts'
import { until } from '../support/until.ts'

describe('log-in limits of several API processes', function () {
  this.timeout(60_000)
  let redis: PrivateRedis
  let system: System

  before(async () => {
    redis = await startPrivateRedis()
    system = await startSystem({ apis: 2, redisUrl: redis.url, env: { TRUST_PROXY: '1' } })
  })
  after(async () => {
    await system[Symbol.asyncDispose]()
    await redis[Symbol.asyncDispose]()
  })

  async function logIn(
    api: number,
    password: string,
    from: string,
    username = ADMIN_USERNAME,
  ): Promise<number> {
    const response = await fetch(`${system.apis[api]}/api/v1/users/log-in`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Forwarded-For': from },
      body: JSON.stringify({ username, password }),
    })
    await response.arrayBuffer()
    return response.status
  }

  it('count failures of all processes together, and do not count successes', async () => {
    for (let i = 0; i < 12; i++) {
      expect(await logIn(i % 2, DEVELOPMENT_PASSWORD, '203.0.113.1')).to.equal(200)
    }
    for (let i = 0; i < 10; i++) expect(await logIn(i % 2, 'wrong', '203.0.113.1')).to.equal(401)
    for (const api of [0, 1]) {
      expect(await logIn(api, DEVELOPMENT_PASSWORD, '203.0.113.1')).to.equal(429)
      expect(await logIn(api, DEVELOPMENT_PASSWORD, '203.0.113.2')).to.equal(200)
    }
  })

  it('count failures under the user name and under the e-mail address together', async () => {
    const address = 'another.address@login.example.org'
    await system.sql.query('update users_user set email = $1 where username = $2', [
      address,
      ADMIN_USERNAME,
    ])
    const names = [ADMIN_USERNAME, address, address.toUpperCase()]
    for (let i = 0; i < 10; i++) {
      const name = names[i % names.length]
      expect(await logIn(i % 2, 'wrong', '203.0.113.4', name)).to.equal(401)
    }
    for (const name of names) {
      expect(await logIn(0, DEVELOPMENT_PASSWORD, '203.0.113.4', name), name).to.equal(429)
      expect(await logIn(1, DEVELOPMENT_PASSWORD, '203.0.113.5', name), name).to.equal(200)
    }
  })

  it('store hashed keys with an expiry in Redis, without user names and addresses', async () => {
    await logIn(0, 'wrong', '203.0.113.9')
    const client = new Redis(redis.url)
    try {
      const keys = await client.keys(`${system.prefix}/attempts/*`)
      expect(keys).not.to.be.empty
      for (const key of keys) {
        expect(key).to.match(/\/attempts\/[\w-]{43}$/)
        expect(await client.pttl(key)).to.be.within(1, 1_000_000)
      }
    } finally {
      client.disconnect()
    }
  })

  it('apply to each process separately while Redis is down', async () => {
    await redis.stop()
    for (let i = 0; i < 10; i++) expect(await logIn(0, 'wrong', '203.0.113.3')).to.equal(401)
    expect(await logIn(0, DEVELOPMENT_PASSWORD, '203.0.113.3')).to.equal(429)
    expect(await logIn(1, DEVELOPMENT_PASSWORD, '203.0.113.3')).to.equal(200)
    await redis.start()
    await until(async () => (await logIn(0, DEVELOPMENT_PASSWORD, '203.0.113.3')) === 200)
  })
})
