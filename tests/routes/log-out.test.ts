import { expect } from 'chai'
import { SignJWT } from 'jose'
import { sql } from 'kysely'
import { hashPassword } from '../../api/session/password.ts'
import { createSessions, SESSION_LIFETIME_S } from '../../api/session/session.ts'
import { revokeSession } from '../../db/writes/session-revocation.ts'
import { fingerprint, sessionKeys } from '../../shared/session-key.ts'
import { sessionHeaders } from '../support/session-headers.ts'
import { startTestApi, type TestApi } from './test-api.ts'

const [LEA, MEL] = [1, 2]
const SECRET = 'the secret of this test, 32 characters'
const IDLE_S = 3600
const sessions = createSessions([SECRET])
const open = (user: number) => sessions.issue(String(user), `hash-${user}`)

/** Returns the cookies that a response sets, by name. */
const cookiesIn = (headers: Readonly<Record<string, unknown>>) =>
  new Map(
    ((headers['set-cookie'] ?? []) as string[]).map((cookie) => {
      const [pair = ''] = cookie.split(';')
      return [
        pair.slice(0, pair.indexOf('=')),
        { value: pair.slice(pair.indexOf('=') + 1), cookie },
      ]
    }),
  )

describe('sessions over HTTP', () => {
  let api: TestApi
  before(async () => {
    api = await startTestApi({
      http: { sessionSecrets: [SECRET], sessionIdleS: IDLE_S, trustProxy: 1 },
    })
  })
  after(() => api[Symbol.asyncDispose]())
  beforeEach(async () => {
    await api.reset()
  })

  const post = async (path: string, token: string) =>
    api.send('POST', `users/${path}`, { headers: await sessionHeaders(token, SECRET) })
  const statusOf = async (token: string) =>
    (await api.send('GET', 'users/me', { headers: { Cookie: `spms_session=${token}` } })).status
  const revocations = async () => {
    const { rows } = await sql<{ user_id: string; session_id: string | null }>`
      select user_id, session_id from invalidation.session_revocation order by id`.execute(api.db)
    return rows
  }

  it('revokes only the session that logs out', async () => {
    const [one, other, foreign] = await Promise.all([open(LEA), open(LEA), open(MEL)])
    expect(await statusOf(one)).to.equal(200)
    const { status, body, headers } = await post('log-out', one)
    expect({ status, body }).to.deep.equal({ status: 200, body: { ok: 'True' } })
    expect(cookiesIn(headers).get('spms_session')).to.include({ value: '' })
    expect(await statusOf(one)).to.equal(401)
    expect((await post('log-out', one)).status).to.equal(401)
    expect(await statusOf(other)).to.equal(200)
    expect(await statusOf(foreign)).to.equal(200)
  })

  for (const [means, deactivate] of [
    ['toggleactive', { method: 'POST', path: `users/${LEA}/toggleactive`, body: undefined }],
    ['an update', { method: 'PUT', path: `users/${LEA}`, body: { is_active: false } }],
  ] as const) {
    it(`revokes the sessions of a user whom ${means} deactivates, also after a reactivation`, async () => {
      const flags = { is_superuser: true, is_active: true }
      await api.db.updateTable('users_user').set(flags).where('id', '=', String(MEL)).execute()
      const [old, superuser] = await Promise.all([open(LEA), open(MEL)])
      const headers = await sessionHeaders(superuser, SECRET)
      const { method, path, body } = deactivate
      expect((await api.send(method, path, { headers, body })).status).to.be.oneOf([200, 202])
      expect(await statusOf(old)).to.equal(401)
      const active = { is_active: true }
      await api.db.updateTable('users_user').set(active).where('id', '=', String(LEA)).execute()
      expect(await statusOf(old)).to.equal(401)
    })
  }

  it('revokes every session of a user who logs out everywhere, but none of other users', async () => {
    const password = await hashPassword('correct horse', 1000)
    await api.db.updateTable('users_user').set({ password }).where('id', '=', String(LEA)).execute()
    const logIn = async () => {
      const credentials = { username: 'lea', password: 'correct horse' }
      const { status, headers } = await api.send('POST', 'users/log-in', { body: credentials })
      expect(status).to.equal(200)
      return cookiesIn(headers).get('spms_session')?.value ?? ''
    }
    const [one, other, foreign] = [await logIn(), await logIn(), await open(MEL)]
    expect((await post('log-out', other)).status).to.equal(200)
    expect((await post('log-out-everywhere', one)).status).to.equal(200)
    expect(await Promise.all([one, other].map(statusOf))).to.deep.equal([401, 401])
    expect(await statusOf(foreign)).to.equal(200)
    const next = await logIn()
    expect(await statusOf(next)).to.equal(200)
    expect((await post('log-out-everywhere', next)).status).to.equal(200)
    expect(await statusOf(next)).to.equal(401)
    expect(await revocations()).to.deep.equal([{ user_id: String(LEA), session_id: null }])
  })

  it('rejects a log-out everywhere without a session or its CSRF token', async () => {
    expect((await api.send('POST', 'users/log-out-everywhere')).status).to.equal(401)
    const headers = { Cookie: `spms_session=${await open(LEA)}` }
    expect((await api.send('POST', 'users/log-out-everywhere', { headers })).status).to.equal(403)
    const { status, headers: answered } = await api.send('GET', 'users/log-out-everywhere')
    expect(status).to.equal(405)
    expect(answered['allow']).to.equal('POST')
  })

  it('deletes expired revocations, and replaces many of one user by one for all sessions', async () => {
    await sql`
      insert into invalidation.session_revocation (user_id, session_id, expires_at)
      values (${MEL}, 'expired', now() - interval '1 s')`.execute(api.db)
    expect((await post('log-out', await open(LEA))).status).to.equal(200)
    expect((await revocations()).map(({ user_id }) => user_id)).to.deep.equal([String(LEA)])

    const endsAt = new Date(Date.now() + 60_000)
    for (let i = 0; i < 102; i++) {
      await api.db
        .transaction()
        .execute((trx) =>
          revokeSession(trx, { userId: String(MEL), sessionId: `session-${i}`, endsAt }),
        )
    }
    const left = (await revocations()).filter(({ user_id }) => user_id === String(MEL))
    expect(left.map(({ session_id }) => session_id)).to.deep.equal([null])
    expect(await statusOf(await open(MEL))).to.equal(401)
  })

  it('answers a log-out and clears the cookies if the event log is not installed', async () => {
    await using bare = await startTestApi({ installed: false, http: { sessionSecrets: [SECRET] } })
    await bare.reset()
    const headers = await sessionHeaders(await open(LEA), SECRET)
    const answer = await bare.send('POST', 'users/log-out', { headers })
    expect(answer.status).to.equal(200)
    expect(cookiesIn(answer.headers).get('spms_session')).to.include({ value: '' })
  })

  it('rejects the CSRF token of another session with 403', async () => {
    const [own, other] = await Promise.all([open(LEA), open(LEA)])
    const { Cookie } = await sessionHeaders(own, SECRET)
    const stolen = (await sessionHeaders(other, SECRET))['X-CSRFToken']
    for (const token of [stolen, `${stolen}=`, '', 'x', 'ö']) {
      const headers = { Cookie: `${Cookie}; spmscsrf=${token}`, 'X-CSRFToken': token }
      const { status, body } = await api.send('POST', 'users/log-out', { headers })
      expect(status, token).to.equal(403)
      expect(body)
        .to.have.property('detail')
        .that.matches(/^CSRF Failed/)
    }
    expect((await post('log-out', own)).status).to.equal(200)
  })

  describe('behind a proxy that terminates TLS', () => {
    const TLS = { 'X-Forwarded-Proto': 'https' }

    it('sets the session cookie with the prefix __Host-, and all cookies with Secure', async () => {
      const password = await hashPassword('correct horse', 1000)
      await api.db.updateTable('users_user').set({ password }).where('id', '=', '1').execute()
      const { headers } = await api.send('POST', 'users/log-in', {
        body: { username: 'lea', password: 'correct horse' },
        headers: TLS,
      })
      const cookies = cookiesIn(headers)
      expect([...cookies.keys()]).to.include.members(['__Host-spms_session', 'spmscsrf'])
      expect(cookies).not.to.have.key('spms_session')
      for (const { cookie } of cookies.values()) {
        expect(cookie).to.include('; Secure').and.include('; Path=/').and.not.include('Domain')
      }
    })

    it('rejects a session in a cookie without the prefix', async () => {
      const token = await open(LEA)
      const statusWith = async (name: string, headers: Record<string, string> = TLS) =>
        (
          await api.send('GET', 'users/me', {
            headers: { ...headers, Cookie: `${name}=${token}` },
          })
        ).status
      expect(await statusWith('__Host-spms_session')).to.equal(200)
      expect(await statusWith('spms_session')).to.equal(401)
      expect(await statusWith('spms_session', {})).to.equal(200)
      expect(await statusWith('__Host-spms_session', {})).to.equal(401)
    })
  })

  describe('with an idle limit', () => {
    const nowS = () => Math.floor(Date.now() / 1000)

    /** Returns a session token with the given age and remaining time, both in seconds. */
    async function tokenFrom(ageS: number, endsInS = SESSION_LIFETIME_S): Promise<string> {
      const [key] = sessionKeys([SECRET])
      if (key === undefined) throw new Error('no key')
      const of = { userId: String(LEA), passwordHash: `hash-${LEA}`, epoch: '' }
      return new SignJWT({ fp: fingerprint(key, of), end: nowS() + endsInS })
        .setProtectedHeader({ alg: 'HS256', kid: key.id })
        .setAudience('spms session')
        .setSubject(of.userId)
        .setJti('a-session')
        .setIssuedAt(nowS() - ageS)
        .setExpirationTime(nowS() + endsInS)
        .sign(key.secret)
    }
    const get = async (path: string, token: string) =>
      api.send('GET', path, { headers: { Cookie: `spms_session=${token}` } })

    it('rejects a session that was idle for longer than the limit', async () => {
      expect(await statusOf(await tokenFrom(IDLE_S - 10))).to.equal(200)
      expect(await statusOf(await tokenFrom(IDLE_S + 10))).to.equal(401)
    })

    it('renews the cookies of an active session without changing its end', async () => {
      const token = await tokenFrom(IDLE_S / 2)
      for (const path of ['users/me', 'projects/mine']) {
        const { status, headers } = await get(path, token)
        expect(status).to.equal(200)
        const cookies = cookiesIn(headers)
        const renewed = await sessions.verify(cookies.get('spms_session')?.value ?? '')
        const before = await sessions.verify(token)
        expect(renewed).to.include({ sessionId: 'a-session', endsAtS: before?.endsAtS })
        expect(renewed?.issuedAtS).to.be.within(nowS() - 5, nowS())
        expect(renewed?.expiresAtS).to.be.within(nowS() + IDLE_S - 5, nowS() + IDLE_S)
        expect(renewed && sessions.csrfToken(renewed)).to.equal(cookies.get('spmscsrf')?.value)
      }
    })

    it('renews no cookies of a recently used or ending session, nor on public pages', async () => {
      for (const [path, token] of [
        ['users/me', await tokenFrom(10)],
        ['users/me', await tokenFrom(IDLE_S / 2, 60)],
        ['users/staffprofiles', await tokenFrom(IDLE_S / 2)],
      ] as const) {
        const { status, headers } = await get(path, token)
        expect(status).to.equal(200)
        expect(headers, path).not.to.have.property('set-cookie')
      }
    })

    it('rejects a renewed token of a revoked session', async () => {
      const token = await tokenFrom(IDLE_S / 2)
      const renewed = cookiesIn((await get('users/me', token)).headers).get('spms_session')
      expect((await post('log-out', token)).status).to.equal(200)
      expect(await statusOf(renewed?.value ?? '')).to.equal(401)
    })
  })
})
