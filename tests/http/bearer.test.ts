import { expect } from 'chai'
import { generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { type BearerConfig, createBearer } from '../../api/session/bearer.ts'
import { createLogger } from '../../shared/logger.ts'
import { createUserByEmail } from '../../shared/resources/index.ts'
import { sessionKeys } from '../../shared/session-key.ts'
import { startTestApi, type TestApi } from '../routes/test-api.ts'
import { type Issuer, startIssuer } from '../support/issuer.ts'
import { createUncachedReader } from '../support/uncached-reader.ts'

const [LEA, SUE, OLD] = [1, 3, 5]
const SECRET = 's'.repeat(32)

const logger = createLogger('test')
logger.silent = true

const configOf = ({ issuer, jwksUrl }: Issuer, more: Partial<BearerConfig> = {}): BearerConfig => ({
  issuer,
  jwksUrl,
  audiences: ['other', 'spms'],
  algorithms: ['ES256'],
  userClaim: 'email',
  emailVerifiedClaim: 'email_verified',
  maxLifetimeS: 3600,
  ...more,
})

describe('bearer tokens', () => {
  let issuer: Issuer
  let api: TestApi

  before(async () => {
    issuer = await startIssuer()
    api = await startTestApi({ http: { bearer: configOf(issuer) } })
  })
  after(async () => {
    await api[Symbol.asyncDispose]()
    await issuer[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    await api.reset()
    issuer.answer('keys')
  })

  const emailOf = async (id: number) => {
    const { email } = await api.db
      .selectFrom('users_user')
      .select('email')
      .where('id', '=', String(id))
      .executeTakeFirstOrThrow()
    return email ?? expect.fail('the test user has no e-mail address')
  }
  const signFor = async (id: number, claims: JWTPayload = {}) =>
    issuer.sign({ claims: { email: await emailOf(id), email_verified: true, ...claims } })
  const bearerDeps = () => ({
    reader: createUncachedReader(api.db),
    userByEmail: createUserByEmail([SECRET]),
    keyId: sessionKeys([SECRET])[0]?.id ?? '',
    logger,
  })
  const bearer = (token: string) => ({ Authorization: `Bearer ${token}` })
  const mine = (token: string) => api.send('GET', 'projects/mine', { headers: bearer(token) })

  it('authenticate the user with the verified e-mail address of the token', async () => {
    const own = await api.send('GET', 'projects/mine', { as: LEA })
    const { status, headers, body } = await mine(await signFor(LEA))
    expect(status).to.equal(200)
    expect(body).to.deep.equal(own.body)
    expect(headers['cache-control']).to.equal('private, no-store')
    const lower = await api.send('GET', 'projects/mine', {
      headers: { Authorization: `bearer ${await signFor(LEA)}` },
    })
    expect(lower.status).to.equal(200)
  })

  it('need no CSRF token, with or without a cookie', async () => {
    const path = 'agencies/branches/21'
    const headers = bearer(await signFor(SUE))
    const sent = { headers, body: { name: 'Kensington' } }
    expect((await api.send('PUT', path, sent)).status).to.equal(200)
    const withCookie = { as: LEA, headers: { ...headers, 'X-CSRFToken': '' }, body: {} }
    expect((await api.send('PUT', path, withCookie)).status).to.equal(200)
  })

  it('take precedence over a session cookie, also when they are invalid', async () => {
    const path = 'agencies/branches/21'
    const asLea = { as: SUE, headers: bearer(await signFor(LEA)), body: {} }
    expect((await api.send('PUT', path, asLea)).status).to.equal(403)
    for (const token of ['', 'x', 'a.b.c', await signFor(LEA, { aud: 'another' })]) {
      const { status, headers } = await api.send('GET', 'projects/mine', {
        as: LEA,
        headers: bearer(token),
      })
      expect(status, token).to.equal(401)
      expect(headers['www-authenticate']).to.match(/^Bearer realm="spms", error="invalid_token", /)
    }
  })

  it('are rejected with 401 if they are invalid, also on public endpoints', async () => {
    const { status, headers } = await api.send('GET', 'users/staffprofiles/1', {
      headers: bearer('x'),
    })
    expect(status).to.equal(401)
    expect(headers['www-authenticate']).to.include('error="invalid_token"')
  })

  it('are requested by the challenge of a 401, and other authorization schemes are ignored', async () => {
    const { status } = await api.send('GET', 'projects/mine', {
      as: LEA,
      headers: { Authorization: 'Basic eDp5' },
    })
    expect(status).to.equal(200)
    const anonymous = await api.send('GET', 'projects/mine')
    expect(anonymous.status).to.equal(401)
    expect(anonymous.headers['www-authenticate']).to.equal('Bearer realm="spms"')
  })

  it('are accepted only from the issuer, for the audience, and until they expire', async () => {
    const email = await emailOf(LEA)
    const nowS = Math.floor(Date.now() / 1000)
    for (const [wrong, reason] of [
      [{ iss: 'http://elsewhere.test/' }, 'has a wrong iss'],
      [{ aud: 'another' }, 'has a wrong aud'],
      [{ aud: undefined }, 'has a wrong aud'],
      [{ exp: nowS - 60 }, 'has expired'],
      [{ exp: undefined }, 'has a wrong exp'],
      [{ nbf: nowS + 60 }, 'has a wrong nbf'],
    ] as const) {
      const claims: Record<string, unknown> = { email, email_verified: true, ...wrong }
      const { status, body } = await mine(await issuer.sign({ claims }))
      expect(status, reason).to.equal(401)
      expect(body).to.include({ detail: `The token ${reason}.` })
    }
  })

  it('are rejected if their lifetime exceeds the configured maximum', async () => {
    const nowS = Math.floor(Date.now() / 1000)
    for (const [claims, status] of [
      [{ iat: nowS, exp: nowS + 3600 }, 200],
      [{ iat: nowS - 3000, exp: nowS + 600 }, 200],
      [{ exp: nowS + 3600 }, 200],
      [{ exp: nowS + 7200 }, 401],
      [{ iat: nowS, exp: nowS + 7200 }, 401],
      [{ iat: nowS - 7200, exp: nowS + 60 }, 401],
      [{ iat: nowS + 3600, exp: nowS + 7200 }, 401],
      [{ exp: 9e15 }, 401],
    ] as const) {
      const answer = await mine(await signFor(LEA, claims))
      expect(answer.status, JSON.stringify(claims)).to.equal(status)
    }
  })

  it('are accepted with an address that Microsoft Entra has verified, if configured', async () => {
    const deps = bearerDeps()
    const reading = (emailVerifiedClaim: 'xms_edov' | 'none') => {
      const read = createBearer(configOf(issuer, { emailVerifiedClaim }), deps)
      return async (claims: JWTPayload) =>
        read(await issuer.sign({ claims: { email: await emailOf(LEA), ...claims } })).catch(
          ({ code }: { code: string }) => code,
        )
    }
    for (const xms_edov of [true, 1, '1', 'true']) {
      expect(await reading('xms_edov')({ xms_edov })).to.equal(String(LEA))
    }
    for (const claims of [{}, { xms_edov: false }, { xms_edov: 0 }, { email_verified: true }]) {
      expect(await reading('xms_edov')(claims)).to.equal('unauthenticated')
    }
    expect(await reading('none')({})).to.equal(String(LEA))
    expect(await reading('none')({ email: '' })).to.equal('unauthenticated')
  })

  it('cannot be forged', async () => {
    const good = await signFor(SUE)
    const [header = '', payload = '', signature = ''] = good.split('.')
    const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const { privateKey } = await generateKeyPair('ES256')
    const claims: JWTPayload = JSON.parse(Buffer.from(payload, 'base64url').toString())
    const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { kid: string }
    const keys = await (await fetch(issuer.jwksUrl)).text()
    for (const forged of [
      `${header}.${payload}.`,
      `${header}.${encoded({ ...claims, email: await emailOf(LEA) })}.${signature}`,
      `${encoded({ alg: 'none' })}.${payload}.`,
      `${encoded({ alg: 'none', kid })}.${payload}.${signature}`,
      // Signed with the public keys, as if they were a shared secret.
      await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid }).sign(Buffer.from(keys)),
      await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid }).sign(privateKey),
      await new SignJWT(claims)
        .setProtectedHeader({ alg: 'ES256', kid: 'unknown' })
        .sign(privateKey),
      await new SignJWT(claims).setProtectedHeader({ alg: 'ES256' }).sign(privateKey),
    ]) {
      expect((await mine(forged)).status, forged).to.equal(401)
    }
    expect((await mine(good)).status).to.equal(200)
  })

  it('are accepted only with an address that the issuer has verified and that matches exactly', async () => {
    const email = await emailOf(LEA)
    for (const claims of [
      { email },
      { email, email_verified: false },
      { email, email_verified: 'true' },
      { email: email.toUpperCase(), email_verified: true },
      { email: ` ${email}`, email_verified: true },
      { email: `${email}\0`, email_verified: true },
      { email: '', email_verified: true },
      { email: '%', email_verified: true },
      { email: [email], email_verified: true },
      { email: 'nobody@spms.test', email_verified: true },
      { sub: String(LEA) },
      { preferred_username: email, email_verified: true },
    ]) {
      const { status } = await mine(await issuer.sign({ claims }))
      expect(status, JSON.stringify(claims)).to.equal(401)
    }
  })

  it('are rejected once their user is deactivated', async () => {
    const token = await signFor(LEA)
    expect((await mine(await signFor(OLD))).status).to.equal(401)
    expect((await mine(token)).status).to.equal(200)
    const set = (change: object) =>
      api.db.updateTable('users_user').set(change).where('id', '=', String(LEA)).execute()
    // The issuer authenticates users without the password of this application.
    await set({ password: 'another' })
    expect((await mine(token)).status).to.equal(200)
    await set({ is_active: false })
    const { status, headers } = await mine(token)
    expect(status).to.equal(401)
    expect(headers['www-authenticate']).to.equal('Bearer realm="spms"')
    expect(
      (await api.send('GET', 'users/staffprofiles/1', { headers: bearer(token) })).status,
    ).to.equal(401)
  })

  it('authenticate the new owner after an e-mail address moves to another user', async () => {
    const token = await signFor(LEA)
    const email = await emailOf(LEA)
    const give = (id: number, to: string | null) =>
      api.db.updateTable('users_user').set({ email: to }).where('id', '=', String(id)).execute()
    await give(LEA, null)
    expect((await mine(token)).status).to.equal(401)
    await give(SUE, email)
    const sent = { headers: bearer(token), body: {} }
    expect((await api.send('PUT', 'agencies/branches/21', sent)).status).to.equal(200)
  })

  it('authenticate a user by id if the claim is configured', async () => {
    await using byId = await startTestApi({
      http: { bearer: configOf(issuer, { userClaim: 'sub' }) },
    })
    await byId.reset()
    const status = async (claims: JWTPayload) => {
      const headers = bearer(await issuer.sign({ claims }))
      return (await byId.send('GET', 'projects/mine', { headers })).status
    }
    expect(await status({ sub: String(LEA) })).to.equal(200)
    const email = await emailOf(LEA)
    for (const sub of [
      '01',
      ' 1',
      '1.0',
      '1e0',
      '-1',
      '',
      '0',
      '999',
      '9'.repeat(18),
      '9'.repeat(99),
    ]) {
      expect(await status({ sub, email, email_verified: true }), sub).to.equal(401)
    }
    expect(await status({ email, email_verified: true })).to.equal(401)
  })

  it('are answered with 503 while the issuer is unavailable, and other requests are unaffected', async () => {
    const token = await signFor(LEA)
    for (const how of ['error', 'nonsense'] as const) {
      issuer.answer(how)
      await using fresh = await startTestApi({ http: { bearer: configOf(issuer) } })
      await fresh.reset()
      const { status, headers } = await fresh.send('GET', 'projects/mine', {
        as: LEA,
        headers: bearer(token),
      })
      expect(status).to.equal(503)
      expect(headers['retry-after']).to.equal('1')
      expect((await fresh.send('GET', 'projects/mine', { as: LEA })).status).to.equal(200)
      expect((await fresh.send('GET', 'users/staffprofiles')).status).to.equal(200)
      // A token that no key can verify is rejected without fetching the keys.
      const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.`
      expect((await fresh.send('GET', 'projects/mine', { headers: bearer(none) })).status).to.equal(
        401,
      )
      issuer.answer('keys')
      const again = await fresh.send('GET', 'projects/mine', { headers: bearer(token) })
      expect(again.status).to.equal(200)
    }
  })

  it('are not accepted if no issuer is configured', async () => {
    await using plain = await startTestApi()
    await plain.reset()
    const headers = bearer(await signFor(SUE))
    expect((await plain.send('GET', 'projects/mine', { headers })).status).to.equal(401)
    const { status } = await plain.send('PUT', 'agencies/branches/21', {
      as: SUE,
      headers: { ...headers, 'X-CSRFToken': '' },
      body: {},
    })
    expect(status).to.equal(403)
  })

  describe('signing keys', () => {
    const reading = (options: { keysTtlMs?: number; refetchIntervalMs?: number }) =>
      createBearer(configOf(issuer), { ...bearerDeps(), ...options })

    it('are fetched once for any number of valid and forged tokens', async () => {
      const read = reading({})
      const before = issuer.asked()
      const tokens = await Promise.all(Array.from({ length: 20 }, () => signFor(LEA)))
      const ids = await Promise.all(tokens.map((one) => read(one)))
      expect(new Set(ids)).to.have.all.keys(String(LEA))
      const { privateKey } = await generateKeyPair('ES256')
      for (let i = 0; i < 20; i++) {
        const forged = await new SignJWT({})
          .setProtectedHeader({ alg: 'ES256', kid: `${i}` })
          .sign(privateKey)
        expect(await read(forged).catch(({ code }: { code: string }) => code)).to.equal(
          'unauthenticated',
        )
      }
      expect(issuer.asked() - before).to.equal(1)
    })

    it('are fetched again when a token names a new key, and replaced keys are no longer accepted', async () => {
      const read = reading({ refetchIntervalMs: 0 })
      const old = await signFor(LEA)
      expect(await read(old)).to.equal(String(LEA))
      await issuer.rotate()
      expect(await read(await signFor(LEA))).to.equal(String(LEA))
      expect(await read(old).catch(({ code }: { code: string }) => code)).to.equal(
        'unauthenticated',
      )
    })

    it('are not used after they expire, even if they cannot be fetched again', async () => {
      const read = reading({ keysTtlMs: 0 })
      const token = await signFor(LEA)
      expect(await read(token)).to.equal(String(LEA))
      issuer.answer('error')
      expect(await read(token).catch(({ code }: { code: string }) => code)).to.equal('unavailable')
      issuer.answer('keys')
      expect(await read(token)).to.equal(String(LEA))
    })
  })

  it('are accepted with RSA signatures if the algorithm is configured', async () => {
    await using rsa = await startIssuer('RS256')
    const token = await rsa.sign({ claims: { sub: '3' } })
    const deps = bearerDeps()
    const config = configOf(rsa, { userClaim: 'sub' })
    const read = createBearer({ ...config, algorithms: ['RS256'] }, deps)
    expect(await read(token)).to.equal('3')
    const code = await createBearer(config, deps)(token).catch(({ code }: { code: string }) => code)
    expect(code).to.equal('unauthenticated')
  })
})
