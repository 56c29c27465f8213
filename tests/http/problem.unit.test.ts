import { createServer, type Server } from 'node:http'
import { Writable } from 'node:stream'
import { expect } from 'chai'
import express, { Router } from 'express'
import winston from 'winston'
import { z } from 'zod'
import { createClient } from '../../api/http/client.ts'
import { createCommonMiddleware } from '../../api/http/common-middleware.ts'
import { errorHandler, methodNotAllowed, unknownRoute } from '../../api/http/problem.ts'
import { createSecurityLog } from '../../api/http/security-log.ts'
import { currentRequestId } from '../../api/http/request-id.ts'
import { parse, parseId } from '../../api/parse.ts'
import { PublicError } from '../../shared/errors.ts'
import { configureLogger, createLogger } from '../../shared/logger.ts'
import { portOf } from '../../shared/server.ts'
import { until } from '../support/until.ts'

const logger = createLogger('test', currentRequestId)
const lines: Record<string, unknown>[] = []
logger.clear().add(
  new winston.transports.Stream({
    stream: new Writable({
      write(chunk, _encoding, done) {
        lines.push(JSON.parse(String(chunk)))
        done()
      },
    }),
  }),
)
configureLogger(logger, { level: 'info', format: 'json' })

const edit = z.object({
  title: z.string().trim().min(1).max(5),
  year: z.int(),
  email: z.email().nullable().optional(),
  kind: z.enum(['science', 'student']).optional(),
  hidden: z.boolean().optional(),
})

describe('problem details', () => {
  let server: Server
  let url: string

  before((done) => {
    const app = express()
    const client = createClient(1)
    const silent = createLogger('test')
    silent.silent = true
    const securityLog = createSecurityLog(silent, client)
    app.use(
      createCommonMiddleware({
        client,
        logger,
        securityLog,
        corsOrigins: [],
        rateLimit: { perS: 1, burst: 20 },
      }),
    )
    app.use(express.json({ limit: 100 }))
    const router = Router({ strict: true, caseSensitive: true })
    router
      .route('/projects/:id')
      .get((req, res) => void res.end(parseId(req.params.id, 'Project')))
      .put((req, res) => void res.end(JSON.stringify(parse(edit, req.body))))
      .all(methodNotAllowed('GET', 'PUT'))
    router.get('/id', (_req, res) => {
      logger.debug('asked')
      res.end(String(res.getHeader('X-Request-Id')))
    })
    router.get('/bug', () => {
      throw new Error('select secret from users_user')
    })
    router.get('/away', async () => {
      throw Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })
    })
    router.get('/busy', () => {
      throw new PublicError('unavailable', 'Busy.', { retryAfterS: 3, fields: { queue: 1000 } })
    })
    app.use('/api', router)
    app.use(unknownRoute)
    app.use(errorHandler(logger, securityLog))
    server = createServer(app).listen(0, '127.0.0.1', () => {
      url = `http://127.0.0.1:${portOf(server)}/api`
      done()
    })
  })
  after((done) => {
    server.closeAllConnections()
    server.close(done)
  })

  interface Sent extends RequestInit {
    readonly headers?: Readonly<Record<string, string>>
  }
  let address = 0
  const ask = async (path: string, init: Sent = {}) => {
    const headers = { 'X-Forwarded-For': `10.0.0.${++address}`, ...init.headers }
    const res = await fetch(`${url}${path}`, { ...init, headers })
    const text = await res.text()
    return { res, text, status: res.status, json: () => JSON.parse(text) as unknown }
  }
  const put = (body: string, type = 'application/json') =>
    ask('/projects/1', { method: 'PUT', body, headers: { 'Content-Type': type } })

  it('are sent as application/problem+json with no-store', async () => {
    const { res, json } = await ask('/nowhere')
    expect(res.status).to.equal(404)
    expect(res.headers.get('content-type')).to.equal('application/problem+json')
    expect(res.headers.get('cache-control')).to.equal('no-store')
    expect(json()).to.deep.equal({
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      detail: 'Not found.',
      instance: '/api/nowhere',
    })
  })

  it('contain the fields and Retry-After of the error', async () => {
    const { res, json } = await ask('/busy')
    expect(res.status).to.equal(503)
    expect(res.headers.get('retry-after')).to.equal('3')
    expect(json()).to.include({ detail: 'Busy.', queue: 1000 })
  })

  it('hide the cause of an unexpected error', async () => {
    const { status, text } = await ask('/bug')
    expect(status).to.equal(500)
    expect(text).to.equal(
      '{"type":"about:blank","title":"Internal Server Error","status":500,"detail":"Internal server error.","instance":"/api/bug"}',
    )
  })

  it('report that the database is unavailable without the cause', async () => {
    const { res, text } = await ask('/away')
    expect(res.status).to.equal(503)
    expect(res.headers.get('retry-after')).to.equal('1')
    expect(text).not.to.include('ECONN')
  })

  it('answer 405 with the allowed methods of the route', async () => {
    const { res, json } = await ask('/projects/1', { method: 'DELETE' })
    expect(res.status).to.equal(405)
    expect(res.headers.get('allow')).to.equal('GET, PUT, HEAD')
    expect(json()).to.include({ detail: 'Method "DELETE" not allowed.' })
  })

  it('answer 404 to an invalid id', async () => {
    for (const path of [
      '/projects/x',
      '/projects/-1',
      '/projects/1.5',
      '/projects/1/',
      '/projects/1%20',
    ]) {
      expect((await ask(path)).status, path).to.equal(404)
    }
    const { json } = await ask('/projects/9223372036854775808')
    expect(json()).to.include({ detail: 'Project 9223372036854775808 not found' })
    expect((await ask(`/projects/${'9'.repeat(5000)}`)).status).to.equal(404)
    expect((await ask('/projects/9223372036854775807')).text).to.equal('9223372036854775807')
    expect((await ask('/projects/007')).text).to.equal('7')
    expect((await ask('/projects/000')).text).to.equal('0')
  })

  it('reject a malformed path or body with 400', async () => {
    expect((await ask('/projects/%ff')).status).to.equal(400)
    const { status, text } = await put('{"title":')
    expect(status).to.equal(400)
    expect(JSON.parse(text).detail).to.match(/^JSON parse error - /)
    expect((await put(JSON.stringify({ title: 'x'.repeat(200) }))).status).to.equal(413)
  })

  it('list the errors of each field', async () => {
    const { status, json } = await put(
      '{"title":" ","email":"x","kind":"other","hidden":"yes","year":null}',
    )
    expect(status).to.equal(400)
    const beside = {
      year: ['This field may not be null.'],
      email: ['Enter a valid email address.'],
      kind: ['"other" is not a valid choice.'],
      hidden: ['Must be a valid boolean.'],
    }
    expect(json()).to.deep.equal({
      type: 'about:blank',
      title: 'Bad Request',
      status: 400,
      detail: 'title: This field may not be blank.',
      instance: '/api/projects/1',
      errors: { title: ['This field may not be blank.'], ...beside },
      ...beside,
    })
    expect((await put('{"title":"toolong","year":1.5}')).json()).to.deep.include({
      errors: {
        title: ['Ensure this field has no more than 5 characters.'],
        year: ['A valid integer is required.'],
      },
      title: 'Bad Request',
      year: ['A valid integer is required.'],
    })
    expect((await put('{}')).json()).to.deep.include({
      errors: { title: ['This field is required.'], year: ['This field is required.'] },
    })
    expect((await put('[]')).json()).to.deep.include({
      non_field_errors: ['Invalid data. Expected a dictionary.'],
    })
  })

  it('answer 429 to a client above the rate limit, and not to others', async () => {
    const headers = { 'X-Forwarded-For': '2001:db8::1' }
    const statuses: number[] = []
    for (let i = 0; i < 25; i++) statuses.push((await ask('/id', { headers })).status)
    expect(statuses.filter((status) => status === 200).length).to.be.within(20, 21)
    const rejected = await ask('/id', { headers: { 'X-Forwarded-For': '2001:db8::2' } })
    expect(rejected.status).to.equal(429)
    expect(rejected.res.headers.get('retry-after')).to.equal('1')
    expect(rejected.json()).to.include({
      detail: 'Request was throttled. Expected available in 1 second.',
    })
    expect((await ask('/id')).status).to.equal(200)
  })

  it('are logged with the request id, which debug messages of the request also have', async () => {
    lines.length = 0
    await ask('/bug', { headers: { 'X-Request-Id': 'edge-1' } })
    expect(lines).to.have.length(1)
    expect(lines[0]).to.include({ message: 'request failed', requestId: 'edge-1' })
    logger.level = 'debug'
    try {
      await ask('/id', { headers: { 'X-Request-Id': 'edge-2' } })
      await until(() => lines.length === 3)
      expect(lines.slice(1).map(({ message, requestId }) => [message, requestId])).to.deep.equal([
        ['asked', 'edge-2'],
        ['request answered', 'edge-2'],
      ])
    } finally {
      logger.level = 'info'
    }
  })

  it('have the request id and security headers', async () => {
    const own = await ask('/id')
    expect(own.res.headers.get('x-request-id')).to.equal(own.text).and.to.have.length(36)
    const given = await ask('/id', { headers: { 'X-Request-Id': 'edge-1' } })
    expect(given.text).to.equal('edge-1')
    const forged = await ask('/id', { headers: { 'X-Request-Id': 'a b' } })
    expect(forged.text).to.have.length(36)
    expect(Object.fromEntries((await ask('/bug')).res.headers)).to.include({
      'content-security-policy': "default-src 'none';base-uri 'none';frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'SAMEORIGIN',
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'strict-transport-security': 'max-age=31536000; includeSubDomains',
    })
  })
})
