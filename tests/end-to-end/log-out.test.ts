import { expect } from 'chai'
import { openRedis } from '../../shared/cache/index.ts'
import { ADMIN_USERNAME, DEVELOPMENT_PASSWORD } from '../../scripts/seed/people.ts'
import { testRedisUrl } from '../support/invalidator.ts'
import { sessionHeaders } from '../support/session-headers.ts'
import { startSystem, type System } from '../support/system.ts'
import { until } from '../support/until.ts'

describe('POST /users/log-out and /users/log-out-everywhere with a cache', function () {
  this.timeout(60_000)
  let system: System
  before(async () => {
    system = await startSystem({ apis: 2 })
  })
  after(() => system[Symbol.asyncDispose]())

  async function logIn(): Promise<string> {
    const response = await fetch(`${system.apis[0]}/api/v1/users/log-in`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ username: ADMIN_USERNAME, password: DEVELOPMENT_PASSWORD }),
    })
    const [cookie = ''] = response.headers.getSetCookie()
    return /^spms_session=([^;]*)/.exec(cookie)?.[1] ?? expect.fail('no session')
  }
  const me = (token: string, api: number) =>
    system.get('users/me', { Cookie: `spms_session=${token}` }, api)
  const isCachedAt = (token: string, api: number) =>
    until(async () => (await me(token, api)).cache === 'hit')

  async function flushRedis(): Promise<void> {
    const redis = openRedis(testRedisUrl(), {
      name: 'flusher',
      commandTimeoutMs: 2_000,
      onState: () => {},
    })
    await until(() => redis.status === 'ready')
    await redis.unlink(await redis.keys(`${system.prefix}/*`))
    redis.disconnect()
  }

  for (const path of ['log-out', 'log-out-everywhere']) {
    it(`revokes the session in every API process by ${path}, even if Redis loses all data`, async () => {
      const token = await logIn()
      for (const api of [0, 1]) await isCachedAt(token, api)
      const response = await fetch(`${system.apis[0]}/api/v1/users/${path}`, {
        method: 'POST',
        headers: await sessionHeaders(token),
      })
      expect(response.status).to.equal(200)
      for (const api of [0, 1]) await until(async () => (await me(token, api)).status === 401)
      await flushRedis()
      for (const api of [0, 1]) expect((await me(token, api)).status).to.equal(401)
      const next = await logIn()
      for (const api of [0, 1]) await until(async () => (await me(next, api)).status === 200)
    })
  }
})
