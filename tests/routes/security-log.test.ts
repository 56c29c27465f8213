import { createServer, type Server } from 'node:http'
import { Writable } from 'node:stream'
import { expect } from 'chai'
import { sql } from 'kysely'
import winston from 'winston'
import { createApp } from '../../api/app.ts'
import type { HttpConfig } from '../../api/config.ts'
import { hashPassword } from '../../api/session/password.ts'
import { createSessions } from '../../api/session/session.ts'
import { createLogger } from '../../shared/logger.ts'
import { portOf } from '../../shared/server.ts'
import { sessionHeaders } from '../support/session-headers.ts'
import { createUncachedReader } from '../support/uncached-reader.ts'
import { until } from '../support/until.ts'
import { httpConfig, startTestApi, type TestApi } from './test-api.ts'

const [LEA, MEL, SUE] = [1, 2, 3]
const SECRET = 'the secret of this test, 32 characters'
const PASSWORD = 'correct horse'

type Line = Readonly<Record<string, unknown>>

describe('the security log', () => {
  let world: TestApi
  let server: Server
  let written = ''

  async function listen(config: Partial<HttpConfig> = {}): Promise<void> {
    server?.close()
    const logger = createLogger('test')
    const sink = new Writable({
      write(chunk, _encoding, done) {
        written += String(chunk)
        done()
      },
    })
    const format = winston.format.json()
    logger.clear().add(new winston.transports.Stream({ stream: sink, format }))
    const app = createApp({
      config: { ...httpConfig, sessionSecrets: [SECRET], trustProxy: 1, ...config },
      reader: createUncachedReader(world.db),
      db: world.db,
      logger,
      isReady: () => true,
    })
    server = createServer(app)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  }

  before(async () => {
    world = await startTestApi()
  })
  after(async () => {
    server.closeAllConnections()
    server.close()
    await world[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    await world.reset()
    await sql`delete from invalidation.session_revocation`.execute(world.db)
    const password = await hashPassword(PASSWORD, 1000)
    await world.db
      .updateTable('users_user')
      .set({ password })
      .where('id', '=', String(LEA))
      .execute()
    await listen()
    written = ''
  })

  const lines = () =>
    written
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line)
      .filter(({ message }) => message === 'security event')

  interface Sent {
    readonly as?: string
    readonly body?: object
    readonly headers?: Readonly<Record<string, string>>
  }
  async function send(method: string, path: string, { as, body, headers }: Sent = {}) {
    return fetch(`http://127.0.0.1:${portOf(server)}/api/v1/${path}`, {
      method,
      headers: {
        'X-Forwarded-For': '203.0.113.7:1234',
        ...(as !== undefined && (await sessionHeaders(as, SECRET))),
        ...(body && { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body && { body: JSON.stringify(body) }),
    })
  }
  /** Sends a request, and returns the one log line that it caused. */
  async function lineOf(...request: Parameters<typeof send>): Promise<Line> {
    const before = lines().length
    const response = await send(...request)
    await response.text()
    await until(() => lines().length > before)
    const [line = {}, ...more] = lines().slice(before)
    expect(more).to.deep.equal([])
    expect(line).to.include({
      level: 'info',
      status: response.status,
      network: '203.0.113.7',
      requestId: response.headers.get('x-request-id'),
      method: request[0],
      path: `/api/v1/${request[1].split('?')[0]}`,
    })
    return line
  }
  const sessionOf = (id: number) =>
    createSessions([SECRET]).issue(String(id), id === LEA ? '' : `hash-${id}`)
  async function sessionOfLea(): Promise<string> {
    const { password } = await world.db
      .selectFrom('users_user')
      .select('password')
      .where('id', '=', String(LEA))
      .executeTakeFirstOrThrow()
    return createSessions([SECRET]).issue(String(LEA), password)
  }

  it('records log-ins, failed log-ins of known and unknown users, and log-outs', async () => {
    const logIn = (username: string, password: string) =>
      lineOf('POST', 'users/log-in', { body: { username, password } })
    const target = { targetUserId: String(LEA) }
    expect(await logIn('lea', PASSWORD)).to.include({
      event: 'log_in',
      outcome: 'success',
      ...target,
    })
    expect(await logIn('lea', 'secret-wrong')).to.include({
      event: 'log_in',
      outcome: 'refused',
      reason: 'Incorrect password',
      ...target,
    })
    const unknown = await logIn('typed-name', 'secret-wrong')
    expect(unknown).to.include({ event: 'log_in', outcome: 'refused' })
    expect(unknown).not.to.have.property('targetUserId')
    for (const path of ['log-out', 'log-out-everywhere']) {
      expect(await lineOf('POST', `users/${path}`, { as: await sessionOfLea() })).to.include({
        event: path.replaceAll('-', '_'),
        outcome: 'success',
        userId: String(LEA),
      })
    }
    for (const secret of [PASSWORD, 'secret-wrong', 'typed-name', 'pbkdf2', 'spms_session']) {
      expect(written).not.to.include(secret)
    }
  })

  it('records changes of passwords, addresses and rights with the user who made them', async () => {
    const as = await sessionOfLea()
    expect(
      await lineOf('PUT', `users/${LEA}`, {
        as,
        body: { email: 'other@spms.test', current_password: PASSWORD },
      }),
    ).to.deep.include({
      event: 'address_change',
      outcome: 'success',
      userId: String(LEA),
      targetUserId: String(LEA),
      changed: ['email'],
    })
    expect(
      await lineOf('PUT', `users/${MEL}`, {
        as: await sessionOf(SUE),
        body: { is_staff: false, first_name: 'M' },
      }),
    ).to.deep.include({
      event: 'rights_change',
      userId: String(SUE),
      targetUserId: String(MEL),
      changed: ['first_name', 'is_staff'],
    })
    for (const path of ['toggleactive', 'admin']) {
      expect(await lineOf('POST', `users/${MEL}/${path}`, { as: await sessionOf(SUE) })).to.include(
        { event: 'rights_change', outcome: 'success', userId: String(SUE) },
      )
    }
    const passwords = { old_password: PASSWORD, new_password: 'battery staple' }
    expect(await lineOf('PUT', 'users/change-password', { as, body: passwords })).to.include({
      event: 'password_change',
      outcome: 'success',
      userId: String(LEA),
    })
    for (const secret of [PASSWORD, 'battery staple', 'other@spms.test']) {
      expect(written).not.to.include(secret)
    }
  })

  it('records an added user', async () => {
    await sql`select setval(pg_get_serial_sequence('users_user', 'id'), 1000)`.execute(world.db)
    const body = { username: 'added' }
    expect(await lineOf('POST', 'users/list', { as: await sessionOf(SUE), body })).to.include({
      event: 'user_creation',
      outcome: 'success',
      userId: String(SUE),
      targetUserId: '1001',
    })
  })

  it('records every other write with its user and request', async () => {
    const written = { event: 'write', outcome: 'success', userId: String(SUE) }
    expect(
      await lineOf('PUT', 'agencies/branches/21', {
        as: await sessionOf(SUE),
        body: { name: 'Kensington' },
      }),
    ).to.include(written)
  })

  it('records responses with 401, 403 and 429, and rejected tokens', async () => {
    expect(await lineOf('GET', 'users/me?secret=query')).to.include({
      event: 'read',
      outcome: 'refused',
      status: 401,
    })
    expect(await lineOf('DELETE', `users/${SUE}`, { as: await sessionOfLea() })).to.include({
      event: 'user_deletion',
      outcome: 'refused',
      status: 403,
      userId: String(LEA),
    })
    expect(
      await lineOf('DELETE', `users/${SUE}`, {
        as: await sessionOfLea(),
        headers: { 'X-CSRFToken': 'x' },
      }),
    ).to.include({ status: 403, reason: 'CSRF Failed: CSRF token incorrect.', userId: String(LEA) })
    await listen({ rateLimit: { perS: 0.001, burst: 1 } })
    await send('GET', 'users/staffprofiles')
    expect(await lineOf('GET', 'users/staffprofiles')).to.include({
      outcome: 'refused',
      status: 429,
    })
    await listen({
      bearer: {
        issuer: 'https://issuer.test/',
        audiences: ['spms'],
        jwksUrl: 'http://127.0.0.1:1/keys',
        algorithms: ['ES256'],
        userClaim: 'email',
        emailVerifiedClaim: 'email_verified',
        maxLifetimeS: 60,
      },
    })
    expect(
      await lineOf('GET', 'users/me', { headers: { Authorization: 'Bearer secret.bearer.token' } }),
    ).to.include({ outcome: 'refused', status: 401, token: 'rejected' })
    for (const secret of ['secret=query', 'secret.bearer']) expect(written).not.to.include(secret)
  })

  it('does not record reads, nor writes that fail with another status', async () => {
    const as = await sessionOf(SUE)
    expect((await send('GET', 'users/me', { as })).status).to.equal(200)
    expect((await send('GET', 'users/staffprofiles')).status).to.equal(200)
    expect((await send('PUT', 'agencies/branches/999', { as, body: {} })).status).to.equal(404)
    await lineOf('POST', 'users/log-out', { as })
    expect(lines()).to.have.length(1)
  })

  it('limits the lines for one network, and counts the suppressed ones', async () => {
    const answers = await Promise.all(
      Array.from({ length: 60 }, async () => (await send('GET', 'users/me')).status),
    )
    expect(new Set(answers)).to.have.all.keys(401)
    expect(lines().length).to.be.within(20, 25)
    const other = { headers: { 'X-Forwarded-For': '203.0.113.8' } }
    await send('GET', 'users/me', other)
    const { suppressed } = lines().at(-1) ?? {}
    expect(Number(suppressed)).to.be.within(30, 40)
  })
})
