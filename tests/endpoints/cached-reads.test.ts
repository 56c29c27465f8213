import { createServer, request, type Server } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { expect } from 'chai'
import { type App, createApp } from '../../api/app.ts'
import { createAppServer } from '../../api/http/app-server.ts'
import { currentConsistencyTokens } from '../../api/http/consistency.ts'
import { createConsistencyTokens } from '../../api/http/consistency-token.ts'
import { createSessions } from '../../api/session/session.ts'
import { findMoment } from '../../db/event-log/index.ts'
import type { Database } from '../../db/schema.ts'
import { COMPRESSION } from '../../shared/cache/index.ts'
import { createLogger } from '../../shared/logger.ts'
import { catalog } from '../../shared/resources/index.ts'
import { closeServer, listen } from '../../shared/server.ts'
import { httpConfig, startTestApi } from '../routes/test-api.ts'
import { type CachedReads, openCachedReads } from '../support/cached-reads.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { mountedRoutes } from '../support/mounted-routes.ts'
import { until } from '../support/until.ts'

/** A response as it was received; what differs between any two responses is replaced. */
interface Received {
  readonly status: number
  readonly headers: readonly string[]
  readonly body: string
}

type Headers = Readonly<Record<string, string>>

const ORIGIN = 'https://page.example'
const IDS = ['1', '999999', '0', '01', 'x', '99999999999999999999', '%31', '1%', '-1', '1;a=b', '']
const QUERIES = [
  '',
  '?',
  '?a=1',
  '?search=a',
  '?search=%',
  '?business_area=x',
  '?page=1&page=2',
  '#a',
]

const ENCODINGS = [
  'gzip, deflate, br, zstd',
  'br',
  '*',
  'identity',
  'gzip;q=0',
  'gzip, identity;q=0',
  'gzip;q=0.2, identity;q=0.8',
  '*;q=0',
  '',
]

describe('cached reads', function () {
  this.timeout(120_000)

  let database: TestDatabase
  let reads: CachedReads<Database>
  let app: App
  let direct: Server
  let viaExpress: Server
  let sessions: ReturnType<typeof createSessions>
  let ports: readonly [direct: number, viaExpress: number]
  /** Number of requests that did not need Express. */
  let answered = 0

  before(async () => {
    database = await createTestDatabase({ seeded: true })
    reads = await openCachedReads<Database>(database.url, catalog, 'spms_both', {
      currentConsistencyTokens,
    })
    const logger = createLogger('test')
    logger.silent = true
    const { sessionSecrets } = httpConfig
    sessions = createSessions(sessionSecrets)
    app = createApp({
      config: { ...httpConfig, corsOrigins: [ORIGIN] },
      reader: reads.reader,
      db: reads.db,
      logger,
      isReady: () => true,
    })
    const { answerCached } = app
    const countAnswered: typeof answerCached = (req, res) => {
      const isAnswered = answerCached(req, res)
      if (isAnswered) answered++
      return isAnswered
    }
    direct = createAppServer(Object.assign(app, { answerCached: countAnswered }), {})
    viaExpress = createServer(app)
    const at = { host: '127.0.0.1', port: 0, setting: '' }
    ports = [await listen(direct, at), await listen(viaExpress, at)]
  })
  after(async () => {
    await Promise.all([closeServer(direct), closeServer(viaExpress)])
    await reads[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
  })

  const send = (port: number, method: string, path: string, headers: Headers, body?: string) =>
    new Promise<Received>((resolve, reject) => {
      const outgoing = request({ port, method, path, headers, agent: false }, (res) => {
        const chunks: Buffer[] = []
        res.on('data', (chunk: Buffer) => chunks.push(chunk))
        res.on('end', () =>
          resolve({
            status: res.statusCode ?? 0,
            headers: linesOf(res.rawHeaders),
            body: Buffer.concat(chunks).toString('latin1'),
          }),
        )
      })
      outgoing.on('error', reject)
      outgoing.end(body)
    })

  /** Sends a request both ways, expects equal responses and returns one. */
  async function expectEqual(method: string, path: string, headers: Headers, body?: string) {
    // Fills the cache, so that both responses are hits if they can be.
    await send(ports[1], method, path, headers, body)
    // One after the other: concurrent misses of a value that is too large to store would share one load.
    const one = await send(ports[0], method, path, headers, body)
    const other = await send(ports[1], method, path, headers, body)
    expect(one, `${method} ${path} ${JSON.stringify(headers)}`).to.deep.equal(other)
    return one
  }

  const paths = () =>
    mountedRoutes(app).flatMap(({ endpoint, path }) => (endpoint?.isCached ? [path] : []))

  async function sessionOf(id: string): Promise<string> {
    const user = reads.db.selectFrom('users_user').select('password').where('id', '=', id)
    const { password } = await user.executeTakeFirstOrThrow()
    return `spms_session=${await sessions.issue(id, password)}`
  }

  it('skip Express, and answer every request as Express does', async () => {
    const cookies: Headers[] = [
      {},
      { Cookie: await sessionOf('1') },
      { Cookie: await sessionOf('2') },
    ]
    const before = answered
    let hits = 0
    for (const path of paths()) {
      for (const headers of cookies) {
        const { headers: received, status } = await expectEqual('GET', filled(path, '1'), headers)
        if (received.some((line) => line.startsWith('Cache-Status: spms; hit'))) hits++
        const etag = received.find((line) => line.startsWith('ETag: '))?.slice('ETag: '.length)
        await expectEqual('HEAD', filled(path, '1'), headers)
        if (etag === undefined) continue
        const unchanged = { ...headers, 'If-None-Match': etag }
        expect((await expectEqual('GET', filled(path, '1'), unchanged)).status).to.equal(304)
        expect(status).to.equal(200)
      }
    }
    const requests = answered - before
    expect(requests).to.be.at.least(paths().length * cookies.length * 2)
    expect(hits).to.be.above(paths().length)
  })

  it('answer with stored gzip, whose tag and plain bytes are those of the plain response', async () => {
    const session = { Cookie: await sessionOf('1') }
    let compressed = 0
    for (const path of paths()) {
      const [target, gzip] = [filled(path, '1'), { ...session, 'Accept-Encoding': 'gzip' }]
      const plain = await expectEqual('GET', target, session)
      const tag = valueOf(plain, 'ETag')
      if (tag === undefined) continue
      expect(valueOf(plain, 'Vary')).to.match(/Accept-Encoding$/)
      // The page of a profile is not read from the cache for a user with more rights.
      await until(async () =>
        /hit|bypass/.test(valueOf(await send(ports[0], 'GET', target, gzip), 'Cache-Status') ?? ''),
      )
      const got = await expectEqual('GET', target, gzip)
      const isLong = plain.body.length >= COMPRESSION.minBytes
      expect(valueOf(got, 'Content-Encoding')).to.equal(isLong ? 'gzip' : undefined)
      expect(valueOf(got, 'Vary')).to.equal(valueOf(plain, 'Vary'))
      expect(valueOf(got, 'Content-Length')).to.equal(String(got.body.length))
      if (!isLong) continue
      compressed++
      expect(valueOf(got, 'ETag')).to.equal(tag.replace(/"$/, '-gzip"'))
      const inflated = gunzipSync(Buffer.from(got.body, 'latin1')).toString('latin1')
      expect(inflated === plain.body, path).to.equal(true)
      for (const held of [tag, valueOf(got, 'ETag') as string]) {
        const again = await expectEqual('GET', target, { ...gzip, 'If-None-Match': held })
        expect([again.status, valueOf(again, 'ETag')]).to.deep.equal([304, held])
        expect(valueOf(again, 'Vary')).to.equal(valueOf(plain, 'Vary'))
      }
    }
    expect(compressed).to.be.at.least(5)
  })

  it('answer unusual paths and queries as Express does', async () => {
    const headers = { Cookie: await sessionOf('1') }
    for (const path of paths()) {
      const ids = path.includes(':') ? IDS : ['1']
      for (const id of ids) await expectEqual('GET', filled(path, id), headers)
      for (const query of QUERIES) await expectEqual('GET', filled(path, '1') + query, headers)
      for (const other of [`${path}/`, `/${path}`, path.toUpperCase(), `${path}/x`, `${path}//`]) {
        await expectEqual('GET', filled(other, '1'), headers)
      }
    }
  })

  it('answer unusual headers, bodies and methods as Express does', async () => {
    const cookie = await sessionOf('1')
    const moment = await findMoment(reads.db)
    const tokens = createConsistencyTokens(httpConfig.sessionSecrets, { lifetimeMs: 30_000 })
    const various: Headers[] = [
      { Origin: ORIGIN },
      { Origin: 'https://other.example' },
      { Cookie: 'spms_session=forged' },
      { Cookie: await sessionOf('1'), Authorization: 'Bearer forged' },
      { Cookie: await sessionOf('1'), 'X-Request-Id': 'given' },
      { Cookie: await sessionOf('1'), 'Consistency-Token': tokens.issue(moment) },
      { Cookie: await sessionOf('1'), 'Consistency-Token': tokens.issue(null) },
      { 'If-None-Match': '*', Range: 'bytes=0-3' },
      { Origin: ORIGIN, 'Accept-Encoding': 'gzip' },
      ...ENCODINGS.map((accepted) => ({ Cookie: cookie, 'Accept-Encoding': accepted })),
      { 'Content-Type': 'application/json', 'Content-Length': '2' },
      { 'Content-Type': 'text/plain', 'Content-Length': '2' },
      { 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' },
    ]
    for (const path of paths()) {
      const some = filled(path, '1')
      for (const headers of various) {
        const hasBody = 'Content-Type' in headers
        await expectEqual('GET', some, headers, hasBody ? '{}' : undefined)
      }
      for (const method of ['OPTIONS', 'PATCH', 'TRACE']) {
        await expectEqual(method, some, { Origin: ORIGIN })
      }
    }
  })
})

/** A compressed body may reveal its secrets by its length, so no response to a read contains one. */
describe('reads', function () {
  this.timeout(120_000)

  it('answer with no token of the session, nor with the query that they were sent', async () => {
    await using api = await startTestApi({ seeded: true })
    const { password } = await api.db
      .selectFrom('users_user')
      .select('password')
      .where('id', '=', '1')
      .executeTakeFirstOrThrow()
    const sessions = createSessions(httpConfig.sessionSecrets)
    const token = await sessions.issue('1', password)
    const claim = await sessions.verify(token)
    if (claim === null) throw new Error('the token is not valid')
    const csrfToken = sessions.csrfToken(claim)
    const headers = { Cookie: `spms_session=${token}; spmscsrf=${csrfToken}` }
    let read = 0
    for (const { method, path } of mountedRoutes(api.app)) {
      if (method !== 'get') continue
      const target = `${filled(path, '1')}?search=chosen-by-an-attacker&page=1`
      const { status, body } = await api.send('GET', target, { headers })
      const text = typeof body === 'string' ? body : JSON.stringify(body)
      for (const secret of [token, csrfToken, 'chosen-by-an-attacker']) {
        expect(text.includes(secret), `${path} ${secret}`).to.equal(false)
      }
      if (status === 200) read++
    }
    expect(read).to.be.above(40)
  })
})

const valueOf = ({ headers }: Received, name: string): string | undefined =>
  headers.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2)

const filled = (path: string, id: string) => path.replaceAll(/:\w+/g, id)

/** Returns the headers, sorted, without what differs between any two responses. */
const linesOf = (raw: readonly string[]): readonly string[] =>
  raw
    .flatMap((name, i) => {
      if (i % 2 > 0) return []
      const value = name === 'Date' ? '' : (raw[i + 1] ?? '')
      return `${name}: ${value
        .replace(/^[\da-f]{8}-[-\da-f]{27}$/, 'id')
        .replace(/ttl=\d+/, 'ttl')
        .replace(/^\d+$/, (digits) => (name === 'Age' ? 'age' : digits))}`
    })
    .toSorted()
