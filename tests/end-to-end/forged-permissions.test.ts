import { expect } from 'chai'
import {
  decodeValue,
  entryKey,
  etagOf,
  openRedis,
  type Params,
  type Redis,
  type ResourceRules,
  encodeValue,
} from '../../shared/cache/index.ts'
import { userByEmailParams } from '../../shared/resources/index.ts'
import { userAccessRules } from '../../shared/resources/user-access.ts'
import { userByEmailRules } from '../../shared/resources/user-by-email.ts'
import { type Issuer, startIssuer } from '../support/issuer.ts'
import { testRedisUrl } from '../support/invalidator.ts'
import { startSystem, type System } from '../support/system.ts'
import { until } from '../support/until.ts'

/** Users of the seed: a superuser, and a user without special rights. */
const ADMIN = 1
const PLAIN = 10

describe('a forged permission entry in Redis', function () {
  this.timeout(60_000)
  let issuer: Issuer
  let system: System
  let redis: Redis
  let hidden = ''

  before(async () => {
    issuer = await startIssuer()
    system = await startSystem({
      apiEnv: {
        JWT_ISSUER: issuer.issuer,
        JWT_AUDIENCE: 'spms',
        JWT_JWKS_URL: issuer.jwksUrl,
      },
    })
    redis = openRedis(testRedisUrl(), {
      name: 'forger',
      commandTimeoutMs: 2_000,
      onState: () => {},
    })
    await until(() => redis.status === 'ready')
    const { rows } = await system.sql.query<{ id: string }>(
      `select id from users_publicstaffprofile where is_hidden and user_id not in ($1, $2) limit 1`,
      [ADMIN, PLAIN],
    )
    hidden = `users/staffprofiles/${rows[0]?.id}/overview`
  })
  after(async () => {
    redis.disconnect()
    await system[Symbol.asyncDispose]()
    await issuer[Symbol.asyncDispose]()
  })

  const emails = new Map<number, string>()
  const emailOf = async (id: number) => {
    const known = emails.get(id)
    if (known !== undefined) return known
    const { rows } = await system.sql.query<{ email: string }>(
      'select email from users_user where id = $1',
      [id],
    )
    const email = rows[0]?.email ?? ''
    emails.set(id, email)
    return email
  }
  const statusFor = async (id: number, path = hidden) => {
    const claims = { email: await emailOf(id), email_verified: true }
    const headers = { Authorization: `Bearer ${await issuer.sign({ claims })}` }
    return (await system.get(path, headers)).status
  }

  const keyOf = (resource: ResourceRules, params: Params) =>
    entryKey(system.prefix, resource, params)
  const accessOf = (id: number) => keyOf(userAccessRules, { user_id: String(id) })

  /** Sends requests of a user until an entry is filled. Returns its value. */
  async function valueAt(
    key: string,
    id = PLAIN,
  ): Promise<{ readonly variant: string; readonly text: string }> {
    let found: { variant: string; text: string } | undefined
    await until(async () => {
      await statusFor(id, 'users/me')
      for (const [variant, bytes] of Object.entries(await redis.hgetallBuffer(key))) {
        const body = variant.startsWith('~') ? null : decodeValue(bytes)?.body
        if (Buffer.isBuffer(body)) found = { variant, text: body.toString() }
      }
      return found !== undefined
    })
    return found ?? expect.fail('no value')
  }

  /** Replaces the body of a cached value, but not its times. */
  async function forge(key: string, variant: string, text: string): Promise<void> {
    const cached = decodeValue(await redis.hgetBuffer(key, variant)) ?? expect.fail('no value')
    const body = Buffer.from(text)
    await redis.hset(key, variant, encodeValue({ ...cached, body, etag: etagOf(body) }))
  }

  it('does not make a user a superuser, and is replaced by the value from Postgres', async () => {
    expect(await statusFor(PLAIN)).to.equal(404)
    const { variant, text } = await valueAt(accessOf(PLAIN))
    const forged = text.replace('"is_superuser":false', '"is_superuser":true')
    expect(forged).not.to.equal(text)
    await forge(accessOf(PLAIN), variant, forged)
    expect(await statusFor(PLAIN)).to.equal(404)
    await until(async () => (await valueAt(accessOf(PLAIN))).text === text)
  })

  it('is rejected if it was copied from the entry of a superuser', async () => {
    expect(await statusFor(PLAIN)).to.equal(404)
    expect(await statusFor(ADMIN)).to.equal(200)
    const admin = await valueAt(accessOf(ADMIN), ADMIN)
    const own = await valueAt(accessOf(PLAIN))
    await forge(accessOf(PLAIN), own.variant, admin.text)
    expect(await statusFor(PLAIN)).to.equal(404)
    await until(async () => (await valueAt(accessOf(PLAIN))).text === own.text)
  })

  it('does not map the e-mail address of a user to another user', async () => {
    expect(await statusFor(PLAIN)).to.equal(404)
    const key = keyOf(userByEmailRules, userByEmailParams(await emailOf(PLAIN)))
    const { variant, text } = await valueAt(key)
    const forged = text.replace(`"${PLAIN}"`, `"${ADMIN}"`)
    expect(forged).not.to.equal(text)
    await forge(key, variant, forged)
    expect(await statusFor(PLAIN)).to.equal(404)
    await until(async () => (await valueAt(key)).text === text)
  })

  it('does not deny access by a forged absence of the user', async () => {
    expect(await statusFor(PLAIN, 'users/me')).to.equal(200)
    const key = accessOf(PLAIN)
    const { variant, text } = await valueAt(key)
    const cached = decodeValue(await redis.hgetBuffer(key, variant)) ?? expect.fail('no value')
    await redis.hset(key, variant, encodeValue({ ...cached, body: null, etag: etagOf(null) }))
    expect(await statusFor(PLAIN, 'users/me')).to.equal(200)
    await until(async () => (await valueAt(key)).text === text)
  })

  it('is loaded again about once for many concurrent requests', async () => {
    expect(await statusFor(PLAIN, 'users/me')).to.equal(200)
    const { variant, text } = await valueAt(accessOf(PLAIN))
    const loads = () => system.metric('spms_cache_loads_total', 'resource="user:access"')
    const before = await loads()
    await forge(accessOf(PLAIN), variant, text.replace('"value":', '"value": '))
    const statuses = await Promise.all(
      Array.from({ length: 20 }, () => statusFor(PLAIN, 'users/me')),
    )
    expect(new Set(statuses)).to.have.all.keys(200)
    expect((await loads()) - before).to.be.within(1, 3)
  })
})
