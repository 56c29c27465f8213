import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { parseCookie } from 'cookie'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import { createApp } from '../../api/app.ts'
import type { HttpConfig } from '../../api/config.ts'
import { hashPassword } from '../../api/session/password.ts'
import { createSessions } from '../../api/session/session.ts'
import { openDatabase } from '../../db/database.ts'
import type { Database } from '../../db/schema.ts'
import { createLogger } from '../../shared/logger.ts'
import { createUserAccess } from '../../shared/resources/user-access.ts'
import { sessionKeys } from '../../shared/session-key.ts'
import { COMPRESSION } from '../../shared/cache/index.ts'
import { portOf } from '../../shared/server.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { interleave } from '../support/interleave.ts'
import { createUncachedReader } from '../support/uncached-reader.ts'

const [OLD_SECRET, SECRET] = ['o'.repeat(32), 's'.repeat(32)]
const PASSWORD = 'correct horse'

const logger = createLogger('test')
logger.silent = true

/** Starts an API on a free port, with functions that send requests to it. */
async function startApi(db: Kysely<Database>, config: Partial<HttpConfig> = {}) {
  const app = createApp({
    config: {
      sessionSecrets: [SECRET],
      sessionIdleS: undefined,
      passwordIterations: 1_000,
      tokenLifetimeMs: 30_000,
      bearer: null,
      corsOrigins: [],
      trustProxy: 1,
      rateLimit: { perS: 0, burst: 0 },
      expensiveReads: { searchesPerMinute: 0, exportsPerMinute: 0, atOnce: 2, queue: 1000 },
      edgeMaxAgeS: 0,
      compression: COMPRESSION,
      bodyLimitBytes: 10_000,
      uploadLimitBytes: 100_000,
      docsEnabled: true,
      timeZone: 'Australia/Perth',
      ...config,
    },
    reader: createUncachedReader(db),
    db,
    logger,
    isReady: () => true,
  })
  const server: Server = createServer(app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${portOf(server)}/api/v1`

  const send = async (
    method: string,
    path: string,
    { body, headers }: { body?: object; headers?: Record<string, string> } = {},
  ) => {
    const res = await fetch(`${url}/${path}`, {
      method,
      headers: { ...(body && { 'Content-Type': 'application/json' }), ...headers },
      ...(body && { body: JSON.stringify(body) }),
    })
    const text = await res.text()
    return {
      status: res.status,
      headers: res.headers,
      text,
      setCookies: res.headers.getSetCookie().filter((it) => !it.startsWith('spms_token_')),
    }
  }
  return {
    send,
    /** Logs in, and returns the headers that authenticate later requests. */
    async logIn(username: string) {
      const { status, setCookies } = await send('POST', 'users/log-in', {
        body: { username, password: PASSWORD },
      })
      expect(status).to.equal(200)
      const cookies = parseCookie(setCookies.map((cookie) => cookie.split(';')[0]).join('; '))
      return {
        Cookie: `spms_session=${cookies['spms_session']}; spmscsrf=${cookies['spmscsrf']}`,
        'X-CSRFToken': cookies['spmscsrf'] ?? '',
      }
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

describe('sessions', () => {
  let database: TestDatabase
  let db: Kysely<Database>
  let api: Awaited<ReturnType<typeof startApi>>

  before(async () => {
    database = await createTestDatabase({ installed: true })
    db = openDatabase({ url: database.url, poolSize: 4, applicationName: 'test' })
  })
  after(async () => {
    await db.destroy()
    await database[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    await sql`truncate users_user cascade`.execute(db)
    const password = await hashPassword(PASSWORD, 1000)
    const people = { ann: {}, bob: { is_active: false }, eve: { password: '!unusable' } }
    for (const [username, given] of Object.entries(people)) {
      await db
        .insertInto('users_user')
        .values({
          username,
          password,
          is_active: true,
          is_staff: true,
          date_joined: new Date(),
          is_superuser: false,
          is_aec: false,
          ...given,
        })
        .execute()
    }
    api = await startApi(db)
  })
  afterEach(() => api[Symbol.asyncDispose]())

  const set = (change: object) =>
    db.updateTable('users_user').set(change).where('username', '=', 'ann').execute()
  const attempt = (username: string, password: string, from = '10.0.0.1') =>
    api.send('POST', 'users/log-in', {
      body: { username, password },
      headers: { 'X-Forwarded-For': from },
    })

  describe('POST /users/log-in', () => {
    it('sets an HttpOnly session cookie and a CSRF cookie that scripts can read [T1]', async () => {
      const { status, text, headers, setCookies } = await attempt('ann', PASSWORD)
      expect(status).to.equal(200)
      expect(text).to.equal('{"ok":"Welcome"}')
      expect(headers.get('cache-control')).to.equal('no-store')
      expect(setCookies).to.have.length(2)
      expect(setCookies[0]).to.match(
        /^spms_session=[\w.-]+; Max-Age=1209600; Path=\/; HttpOnly; SameSite=Lax$/,
      )
      expect(setCookies[1]).to.match(/^spmscsrf=[\w-]{32}; Max-Age=1209600; Path=\/; SameSite=Lax$/)
    })

    it('marks the cookies Secure over TLS', async () => {
      const { setCookies } = await api.send('POST', 'users/log-in', {
        body: { username: 'ann', password: PASSWORD },
        headers: { 'X-Forwarded-Proto': 'https' },
      })
      for (const cookie of setCookies) expect(cookie).to.include('; Secure')
    })

    it('stores the time of the log-in', async () => {
      await attempt('ann', PASSWORD)
      const { last_login } = await db
        .selectFrom('users_user')
        .select('last_login')
        .where('username', '=', 'ann')
        .executeTakeFirstOrThrow()
      expect(Date.now() - Number(last_login)).to.be.within(0, 10_000)
    })

    it('rejects every failed log-in with the same message [T3, 401 instead of 200]', async () => {
      const failures = await Promise.all([
        attempt('ann', 'wrong'),
        attempt('unknown', PASSWORD),
        attempt('bob', PASSWORD),
        attempt('eve', PASSWORD),
        attempt('ANN', PASSWORD),
      ])
      for (const { status, text, setCookies } of failures) {
        expect(status).to.equal(401)
        expect(JSON.parse(text)).to.include({
          error: 'Incorrect password',
          detail: 'Incorrect password',
        })
        expect(setCookies).to.be.empty
      }
    })

    it('takes equally long for an address, for a user that does not exist and for an outdated or unusable hash', async () => {
      const iterations = 300_000
      const hashes = { ann: iterations, bob: 1_000 }
      for (const [username, count] of Object.entries(hashes)) {
        const password = await hashPassword(PASSWORD, count)
        await db
          .updateTable('users_user')
          .set({ password, is_active: true })
          .where('username', '=', username)
          .execute()
      }
      await using slow = await startApi(db, { passwordIterations: iterations })
      const tookMs: number[] = []
      await set({ email: 'ann@spms.test' })
      for (const username of ['ann', 'bob', 'unknown', 'eve', 'ann@spms.test', 'no@spms.test']) {
        const startedAt = performance.now()
        const body = { username, password: 'wrong' }
        expect((await slow.send('POST', 'users/log-in', { body })).status).to.equal(401)
        tookMs.push(performance.now() - startedAt)
      }
      const [known = 0, ...others] = tookMs
      // Without equal work they would differ by a factor of 30 or more; a busy machine makes up to 5.
      for (const other of others) expect(other).to.be.within(known / 8, known * 8)
    })

    it('replaces a hash with fewer iterations than configured', async () => {
      const stored = async () =>
        (
          await db
            .selectFrom('users_user')
            .select('password')
            .where('username', '=', 'ann')
            .executeTakeFirstOrThrow()
        ).password
      const before = await stored()
      await using strict = await startApi(db, { passwordIterations: 2_000 })
      const body = { username: 'ann', password: PASSWORD }
      const wrong = { ...body, password: 'wrong' }
      expect((await strict.send('POST', 'users/log-in', { body: wrong })).status).to.equal(401)
      expect(await stored()).to.equal(before)
      // Both concurrent log-ins get a session for the hash that is stored last.
      const sessions = await Promise.all([strict.logIn('ann'), strict.logIn('ann')])
      const after = await stored()
      expect(after).to.match(/^pbkdf2_sha256\$2000\$/)
      for (const headers of sessions) {
        expect((await strict.send('GET', 'projects/mine', { headers })).status).to.equal(200)
      }
      await strict.logIn('ann')
      expect(await stored()).to.equal(after)
      // An API that is configured with fewer iterations keeps the hash.
      expect((await attempt('ann', PASSWORD)).status).to.equal(200)
      expect(await stored()).to.equal(after)
    })

    it('normalizes user names to NFKC, also for the limit of failures', async () => {
      await set({ username: 'ﬁona'.normalize('NFKC') })
      for (const name of ['fiona', 'ﬁona', 'ｆｉｏｎａ']) {
        expect((await attempt(name, PASSWORD)).status, name).to.equal(200)
      }
      for (const name of ['FIONA', 'fiona ', 'fіona']) {
        expect((await attempt(name, PASSWORD)).status, name).to.equal(401)
      }
      for (let i = 0; i < 10; i++) {
        expect((await attempt(i % 2 === 0 ? 'ﬁona' : 'ｆｉｏｎａ', 'wrong')).status).to.equal(401)
      }
      expect((await attempt('fiona', PASSWORD)).status).to.equal(429)
    })

    it('succeeds if the database role cannot store the time of the log-in', async () => {
      const role = `spms_reader_${randomBytes(4).toString('hex')}`
      await sql
        .raw(
          `create role ${role} login password '${role}';
           grant usage on schema public, invalidation to ${role};
           grant select on all tables in schema public, invalidation to ${role};`,
        )
        .execute(db)
      const url = new URL(database.url)
      url.username = role
      url.password = role
      const reading = openDatabase({ url: url.href, poolSize: 2, applicationName: 'test' })
      try {
        await using api = await startApi(reading, { passwordIterations: 2_000 })
        const headers = await api.logIn('ann')
        expect((await api.send('GET', 'projects/mine', { headers })).status).to.equal(200)
      } finally {
        await reading.destroy()
        await sql.raw(`drop owned by ${role}; drop role ${role}`).execute(db)
      }
    })

    it('does not wait for a transaction that has locked the row of the user', async () => {
      await db.transaction().execute(async (other) => {
        await other.updateTable('users_user').set({ first_name: 'A' }).execute()
        expect((await attempt('ann', PASSWORD)).status).to.equal(200)
      })
    })

    it('requires a user name and a password as JSON [T2]', async () => {
      for (const body of [
        {},
        { username: 'ann' },
        { password: 'x' },
        { username: 1, password: 2 },
      ]) {
        const { status, text } = await api.send('POST', 'users/log-in', { body })
        expect(status).to.equal(400)
        expect(JSON.parse(text).detail).to.equal('Username and password are required')
      }
      const form = await api.send('POST', 'users/log-in', {
        headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': '0' },
      })
      expect(form.status).to.equal(400)
    })

    it('rejects a user name with a null character with 400', async () => {
      expect((await attempt('a\u0000b', PASSWORD)).status).to.equal(400)
    })

    it('rejects a user name from one network with 429 after 10 failures, but not from another', async () => {
      for (let i = 0; i < 10; i++) expect((await attempt('ann', 'wrong')).status).to.equal(401)
      const { status, headers } = await attempt('ann', PASSWORD)
      expect(status).to.equal(429)
      expect(Number(headers.get('retry-after'))).to.be.within(1, 10)
      expect((await attempt('ann', PASSWORD, '10.0.2.1')).status).to.equal(200)
    })

    it('rejects a user name with 429 after 100 failures from different networks', async () => {
      for (let i = 0; i < 100; i++) {
        expect((await attempt('ann', 'wrong', `10.0.1.${i}`)).status).to.equal(401)
      }
      const { status, headers } = await attempt('ann', PASSWORD, '10.0.2.1')
      expect(status).to.equal(429)
      expect(Number(headers.get('retry-after'))).to.be.within(1, 5)
      expect((await attempt('another', 'wrong', '10.0.2.1')).status).to.equal(401)
    })

    it('rejects an address with 429 after 30 failures with any user names', async () => {
      for (let i = 0; i < 30; i++) {
        expect((await attempt(`name ${i}`, 'wrong')).status).to.equal(401)
      }
      expect((await attempt('ann', PASSWORD)).status).to.equal(429)
      expect((await attempt('ann', PASSWORD, '10.0.0.2')).status).to.equal(200)
    })

    it('counts the failures of one address together if the proxy appends ports', async () => {
      for (const from of [
        (i: number) => `203.0.113.7:${50_000 + i}`,
        (i: number) => `[2001:db8:1:2::${i}]:${50_000 + i}`,
      ]) {
        for (let i = 0; i < 30; i++) {
          expect((await attempt(`name ${i}`, 'wrong', from(i))).status).to.equal(401)
        }
        expect((await attempt('another', 'wrong', from(30))).status).to.equal(429)
      }
    })

    it('does not limit successful log-ins', async () => {
      for (let i = 0; i < 35; i++) expect((await attempt('ann', PASSWORD)).status).to.equal(200)
    })

    describe('with an e-mail address', () => {
      const OTHER_PASSWORD = 'incorrect horse'

      /** Adds an active user whose password is `OTHER_PASSWORD`. */
      const add = async (username: string, email: string | null) =>
        db
          .insertInto('users_user')
          .values({
            username,
            email,
            password: await hashPassword(OTHER_PASSWORD, 1000),
            is_active: true,
            is_staff: true,
            date_joined: new Date(),
            is_superuser: false,
            is_aec: false,
          })
          .execute()
      /** Returns the user name of the session that a log-in opens; the status of the response if it fails. */
      const userOf = async (name: string, password: string): Promise<string | number> => {
        const { status, setCookies } = await attempt(name, password)
        if (status !== 200) return status
        const headers = { Cookie: setCookies.map((cookie) => cookie.split(';')[0]).join('; ') }
        return JSON.parse((await api.send('GET', 'users/me', { headers })).text).username
      }

      it('opens a session of the user, in any case of its ASCII letters', async () => {
        await set({ email: 'Ann.Lee@spms.test' })
        for (const name of [
          'ann',
          'Ann.Lee@spms.test',
          'ann.lee@SPMS.test',
          'ａnn.lee@spms.test',
        ]) {
          expect(await userOf(name, PASSWORD), name).to.equal('ann')
        }
        for (const name of [
          'Ann.Lee',
          'ann.lee@spms.test ',
          'ann.lee@spms.tesť',
          '@spms.test',
          '%',
        ]) {
          expect(await userOf(name, PASSWORD), name).to.equal(401)
        }
        expect(await userOf('ann.lee@spms.test', OTHER_PASSWORD)).to.equal(401)
      })

      it('folds no letters outside ASCII', async () => {
        await set({ email: 'zoë@spms.test' })
        expect(await userOf('ZOë@spms.test', PASSWORD)).to.equal('ann')
        for (const name of ['ZOË@spms.test', 'zoe@spms.test']) {
          expect(await userOf(name, PASSWORD), name).to.equal(401)
        }
      })

      it('accepts addresses that are longer than any user name', async () => {
        const address = `${'a'.repeat(242)}@spms.test`
        await set({ email: address })
        expect(await userOf(address, PASSWORD)).to.equal('ann')
        expect(await userOf(`aa${address}`, PASSWORD)).to.equal(401)
        expect(await userOf(`aaa${address}`, PASSWORD)).to.equal(400)
      })

      it('rejects an inactive user and an unusable password', async () => {
        await db
          .updateTable('users_user')
          .set({ email: sql`username || '@spms.test'` })
          .execute()
        expect(await userOf('ann@spms.test', PASSWORD)).to.equal('ann')
        for (const name of ['bob@spms.test', 'eve@spms.test']) {
          expect(await userOf(name, PASSWORD), name).to.equal(401)
        }
      })

      it('never opens a session of a user whose address is the user name of another', async () => {
        await set({ email: 'dee@spms.test' })
        await add('dee@spms.test', null)
        expect(await userOf('dee@spms.test', PASSWORD)).to.equal(401)
        expect(await userOf('dee@spms.test', OTHER_PASSWORD)).to.equal('dee@spms.test')
        expect(await userOf('ann', PASSWORD)).to.equal('ann')
        // In another case the name could mean either of them.
        for (const password of [PASSWORD, OTHER_PASSWORD]) {
          expect(await userOf('DEE@spms.test', password)).to.equal(401)
        }
      })

      it('opens no session by an address that is the user name of an inactive user', async () => {
        await set({ email: 'bob' })
        expect(await userOf('bob', PASSWORD)).to.equal(401)
        expect(await userOf('Bob', PASSWORD)).to.equal(401)
      })

      it('distinguishes addresses that differ only in case, and rejects every third spelling', async () => {
        await set({ email: 'Dee@spms.test' })
        await add('dee', 'dee@spms.test')
        expect(await userOf('Dee@spms.test', PASSWORD)).to.equal('ann')
        expect(await userOf('dee@spms.test', OTHER_PASSWORD)).to.equal('dee')
        expect(await userOf('Dee@spms.test', OTHER_PASSWORD)).to.equal(401)
        expect(await userOf('dee@spms.test', PASSWORD)).to.equal(401)
        for (const password of [PASSWORD, OTHER_PASSWORD]) {
          expect(await userOf('DEE@spms.test', password)).to.equal(401)
        }
      })

      it('counts failures under all names of a user together', async () => {
        await set({ email: 'ann@spms.test' })
        await add('dee', 'dee@spms.test')
        const names = ['ann', 'ann@spms.test', 'ANN@spms.test']
        for (let i = 0; i < 10; i++) {
          expect((await attempt(names[i % 3] ?? '', 'wrong')).status).to.equal(401)
        }
        for (const name of names) {
          expect((await attempt(name, PASSWORD)).status, name).to.equal(429)
          expect((await attempt(name, PASSWORD, '10.0.2.1')).status, name).to.equal(200)
        }
        expect((await attempt('dee@spms.test', OTHER_PASSWORD)).status).to.equal(200)
      })

      it('counts failures from different networks under all names of a user together', async () => {
        await set({ email: 'ann@spms.test' })
        const names = ['ann', 'ann@spms.test']
        for (let i = 0; i < 100; i++) {
          const { status } = await attempt(names[i % 2] ?? '', 'wrong', `10.0.1.${i}`)
          expect(status).to.equal(401)
        }
        for (const name of names) {
          expect((await attempt(name, PASSWORD, '10.0.2.1')).status, name).to.equal(429)
        }
      })

      it('shares the limit of wrong passwords with changes of the password', async () => {
        await set({ email: 'ann@spms.test' })
        const headers = await api.logIn('ann')
        for (let i = 0; i < 10; i++) {
          expect((await attempt('ann@spms.test', 'wrong', '127.0.0.1')).status).to.equal(401)
        }
        const body = { old_password: PASSWORD, new_password: 'battery staple' }
        const { status } = await api.send('PUT', 'users/change-password', { headers, body })
        expect(status).to.equal(429)
      })
    })

    it('answers 405 to GET', async () => {
      const { status, headers } = await api.send('GET', 'users/log-in')
      expect(status).to.equal(405)
      expect(headers.get('allow')).to.equal('POST')
    })
  })

  const mine = (headers: Record<string, string>) => api.send('GET', 'projects/mine', { headers })

  describe('a session', () => {
    it('authenticates its user, and requests without one are rejected with 401', async () => {
      const session = await api.logIn('ann')
      expect((await mine(session)).status).to.equal(200)
      const { status, text } = await mine({})
      expect(status).to.equal(401)
      expect(JSON.parse(text).detail).to.equal('Authentication credentials were not provided.')
      expect((await api.send('HEAD', 'projects/mine')).status).to.equal(401)
    })

    it('ends when its user is deactivated or deleted or changes the password', async () => {
      const session = await api.logIn('ann')
      await set({ is_active: false })
      expect((await mine(session)).status).to.equal(401)
      await set({ is_active: true })
      expect((await mine(session)).status).to.equal(200)
      await set({ password: await hashPassword(PASSWORD, 1000) })
      expect((await mine(session)).status).to.equal(401)
      await db.deleteFrom('users_user').where('username', '=', 'ann').execute()
      expect((await mine(session)).status).to.equal(401)
    })

    it('stays valid while the secret that signed it is still listed', async () => {
      await using before = await startApi(db, { sessionSecrets: [OLD_SECRET] })
      const session = await before.logIn('ann')
      await using during = await startApi(db, { sessionSecrets: [SECRET, OLD_SECRET] })
      const ask = (of: typeof api) => of.send('GET', 'projects/mine', { headers: session })
      expect((await ask(during)).status).to.equal(200)
      expect((await ask(api)).status).to.equal(401)
    })

    it('cannot be forged', async () => {
      const { id, password } = await db
        .selectFrom('users_user')
        .select(['id', 'password'])
        .where('username', '=', 'ann')
        .executeTakeFirstOrThrow()
      const good = await createSessions([SECRET]).issue(id, password)
      const foreign = await createSessions([OLD_SECRET]).issue(id, password)
      const [header, payload, signature] = good.split('.')
      const none = Buffer.from('{"alg":"none"}').toString('base64url')
      const other = Buffer.from('{"sub":"1"}').toString('base64url')
      expect((await mine({ Cookie: `spms_session=${good}` })).status).to.equal(200)
      for (const token of [
        '',
        'x',
        foreign,
        `${header}.${payload}.`,
        `${none}.${payload}.`,
        `${none}.${payload}.${signature}`,
        `${header}.${other}.${signature}`,
      ]) {
        expect((await mine({ Cookie: `spms_session=${token}` })).status, token).to.equal(401)
      }
    })

    it('does not put the password hash into cached values', async () => {
      const { id, password } = await db
        .selectFrom('users_user')
        .select(['id', 'password'])
        .where('username', '=', 'ann')
        .executeTakeFirstOrThrow()
      const access = createUserAccess([SECRET])
      const [{ id: keyId } = { id: '' }] = sessionKeys([SECRET])
      const { body } = await createUncachedReader(db).read(access, { user_id: id }, keyId)
      expect(JSON.parse(String(body)).value).to.have.all.keys(
        'is_active',
        'is_staff',
        'is_superuser',
        'fingerprint',
        'revoked',
      )
      expect(String(body)).not.to.include(password.split('$')[3])
      const other = await createUncachedReader(db).read(access, { user_id: id }, 'unknown key')
      expect(other.body).to.be.null
    })

    it('needs its CSRF token for unsafe methods [T4, 401 instead of 403 for anonymous requests]', async () => {
      const { Cookie, 'X-CSRFToken': token } = await api.logIn('ann')
      const logOut = (headers: Record<string, string>) =>
        api.send('POST', 'users/log-out', { headers: { Cookie, ...headers } })
      for (const headers of [{}, { 'X-CSRFToken': '' }, { 'X-CSRFToken': 'other' }]) {
        const { status, text } = await logOut(headers)
        expect(status).to.equal(403)
        expect(JSON.parse(text).detail).to.match(/^CSRF Failed: /)
      }
      const { status, text, setCookies } = await logOut({ 'X-CSRFToken': token })
      expect(status).to.equal(200)
      expect(text).to.equal('{"ok":"True"}')
      expect(setCookies.map((cookie) => cookie.split(';').slice(0, 2))).to.deep.equal([
        ['spms_session=', ' Max-Age=0'],
        ['spmscsrf=', ' Max-Age=0'],
      ])
      expect((await api.send('POST', 'users/log-out')).status).to.equal(401)
    })

    it('is answered with 503 while the database is unavailable', async () => {
      const session = await api.logIn('ann')
      const away = openDatabase({
        url: 'postgres://nobody@127.0.0.1:1/none',
        poolSize: 1,
        applicationName: 'test',
      })
      await using blind = await startApi(away)
      const { status, headers } = await blind.send('GET', 'projects/mine', { headers: session })
      expect(status).to.equal(503)
      expect(headers.get('retry-after')).to.equal('1')
      await away.destroy()
    })
  })

  describe('PUT /users/change-password', () => {
    type Headers = Record<string, string>
    const change = (headers: Headers, body: object) =>
      api.send('PUT', 'users/change-password', { headers, body })
    const stored = async () => {
      const { password } = await db
        .selectFrom('users_user')
        .select('password')
        .where('username', '=', 'ann')
        .executeTakeFirstOrThrow()
      return password
    }
    const asked = { old_password: PASSWORD, new_password: 'battery staple' }

    it('changes the password and ends every session of the user [T5]', async () => {
      const sessions = [await api.logIn('ann'), await api.logIn('ann')] as const
      const { status, text, headers, setCookies } = await change(sessions[0], asked)
      expect(status).to.equal(200)
      expect(JSON.parse(text)).to.deep.equal({ ok: 'Password changed successfully' })
      expect(headers.get('cache-control')).to.equal('no-store')
      expect(setCookies.map((cookie) => cookie.split(';').slice(0, 2))).to.deep.equal([
        ['spms_session=', ' Max-Age=0'],
        ['spmscsrf=', ' Max-Age=0'],
      ])
      for (const session of sessions) expect((await mine(session)).status).to.equal(401)

      // The hash has the format of Django, so that the user can log in there too.
      expect(await stored()).to.match(/^pbkdf2_sha256\$1000\$/)
      expect((await attempt('ann', PASSWORD)).status).to.equal(401)
      expect((await attempt('ann', 'battery staple')).status).to.equal(200)
    })

    it('requires the old password [T5]', async () => {
      const session = await api.logIn('ann')
      const before = await stored()
      const { status, text } = await change(session, { ...asked, old_password: 'wrong' })
      expect(status).to.equal(400)
      expect(JSON.parse(text)).to.include({
        detail: 'Incorrect password',
        error: 'Incorrect password',
      })
      for (const body of [{}, { ...asked, new_password: '' }, { ...asked, old_password: 5 }]) {
        const rejected = await change(session, body)
        expect(rejected.status).to.equal(400)
        expect(JSON.parse(rejected.text).detail).to.equal('Old and new passwords are required')
      }
      expect(await stored()).to.equal(before)
      expect((await mine(session)).status).to.equal(200)
    })

    it('requires a session and its CSRF token', async () => {
      const { Cookie } = await api.logIn('ann')
      expect((await change({}, asked)).status).to.equal(401)
      expect((await change({ Cookie }, asked)).status).to.equal(403)
      const { status, headers } = await api.send('GET', 'users/change-password')
      expect(status).to.equal(405)
      expect(headers.get('allow')).to.equal('PUT')
    })

    it('shares the limit of wrong passwords with log-ins', async () => {
      const session = await api.logIn('ann')
      for (let i = 0; i < 5; i++) {
        expect((await change(session, { ...asked, old_password: 'wrong' })).status).to.equal(400)
        expect((await attempt('ann', 'wrong', '127.0.0.1')).status).to.equal(401)
      }
      const { status, headers } = await change(session, asked)
      expect(status).to.equal(429)
      expect(Number(headers.get('retry-after'))).to.be.within(1, 10)
      expect((await attempt('ann', PASSWORD, '127.0.0.1')).status).to.equal(429)
    })

    it('rejects a new password that the validators of Django reject', async () => {
      await set({ first_name: 'Annabelle', last_name: 'Quokka-Smith', email: 'ann@spms.test' })
      const session = await api.logIn('ann')
      const before = await stored()
      for (const [new_password, ...messages] of [
        ['quokka-smith1', 'The password is too similar to the last name.'],
        ['aNNabelle9', 'The password is too similar to the first name.'],
        ['ann@spms.test', 'The password is too similar to the email address.'],
        ['kx7#qpz', 'This password is too short. It must contain at least 8 characters.'],
        ['Password1', 'This password is too common.'],
        ['8052719365', 'This password is entirely numeric.'],
        [
          '1234',
          'This password is too short. It must contain at least 8 characters.',
          'This password is too common.',
          'This password is entirely numeric.',
        ],
      ] as const) {
        const { status, text } = await change(session, { ...asked, new_password })
        expect(status, new_password).to.equal(400)
        expect(JSON.parse(text), new_password).to.deep.include({
          detail: messages.join(' '),
          new_password: messages,
        })
      }
      expect(await stored()).to.equal(before)
      expect((await mine(session)).status).to.equal(200)
    })

    it('accepts one of two concurrent changes and answers the other with 409', async () => {
      const session = await api.logIn('ann')
      const words = ['first battery staple', 'second battery staple']
      const answers = await interleave(
        db,
        sql`select from users_user where username = 'ann' for update`,
        words.map((new_password) => () => change(session, { ...asked, new_password })),
      )
      expect(answers.map(({ status }) => status)).to.have.members([200, 409])
      const winner = words[answers.findIndex(({ status }) => status === 200)]
      expect((await attempt('ann', winner ?? '')).status).to.equal(200)
    })
  })
})
