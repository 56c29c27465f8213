import { Agent, request } from 'node:http'
import { gzipSync } from 'node:zlib'
import { expect } from 'chai'
import fc, { type Arbitrary } from 'fast-check'
import { z } from 'zod'
import { createSessions } from '../../api/session/session.ts'
import { type Issuer, startIssuer } from '../support/issuer.ts'
import { type Contract, type Described, readContract } from '../support/contract.ts'
import { type JsonSchema, nearly } from '../support/json-schema-arbitrary.ts'
import { LONG } from '../support/long.ts'
import { sessionHeaders } from '../support/session-headers.ts'
import { startSystem, SYSTEM_SECRET, type System } from '../support/system.ts'

const REQUESTS = LONG ? 100_000 : 1_000
const AT_ONCE = 8
const SEED = 20260210
const BODY_LIMIT = 20_000

const schema = z.custom<JsonSchema>()
const openApi = z.object({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        parameters: z.array(z.object({ name: z.string(), in: z.string() })).default([]),
        requestBody: z
          .object({ content: z.record(z.string(), z.object({ schema: schema.optional() })) })
          .optional(),
      }),
    ),
  ),
  components: z.object({ schemas: z.record(z.string(), schema) }),
})
type OpenApi = z.output<typeof openApi>

interface Malformed {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | undefined
}

interface Received {
  readonly status: number
  readonly type: string | undefined
  readonly text: string
}

describe('malformed requests', function () {
  this.timeout(LONG ? 60 * 60_000 : 180_000)
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE })
  let issuer: Issuer
  let system: System
  let routes: OpenApi
  let contract: Contract

  before(async () => {
    issuer = await startIssuer()
    system = await startSystem({
      env: {
        BODY_LIMIT_BYTES: `${BODY_LIMIT}`,
        TRUST_PROXY: '1',
        CORS_ORIGINS: 'https://spms.example',
        JWT_ISSUER: issuer.issuer,
        JWT_AUDIENCE: 'spms',
        JWT_JWKS_URL: issuer.jwksUrl,
      },
    })
    const { text } = await system.get('openapi.json')
    contract = readContract(JSON.parse(text) as Described)
    const { paths, ...rest } = openApi.parse(JSON.parse(text))
    // A log-out would end the session of later requests.
    const kept = Object.entries(paths).filter(([path]) => !path.includes('/users/log-out'))
    routes = { ...rest, paths: Object.fromEntries(kept) }
  })
  after(async () => {
    agent.destroy()
    await system[Symbol.asyncDispose]()
    await issuer[Symbol.asyncDispose]()
  })

  it('never cause a 5xx, reveal no internals, and get answers that conform to OpenAPI', async () => {
    const anyRequest = malformed(routes, await credentials())
    const statuses = new Set<number>()
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyRequest, { minLength: AT_ONCE, maxLength: AT_ONCE }),
        async (requests) => {
          const answers = await Promise.all(requests.map((request) => send(request)))
          for (const [at, { status, type, text }] of answers.entries()) {
            const context = `${requests[at]?.method} ${requests[at]?.path}: ${status} ${text}`
            statuses.add(status)
            const { method = '', path = '' } = requests[at] ?? {}
            const answered = { method, path: path.split('?')[0] ?? '', status, type, text }
            expect(contract(answered), context).to.equal(null)
            expect(status, context).to.be.below(500)
            expect(text, context).not.to.match(STACK)
            if (status < 400 || text === '') continue
            // The path is what the client has sent.
            expect(text.replace(/"instance":"[^"]*"/, ''), context).not.to.match(SQL)
            expect(type, context).to.equal('application/problem+json')
          }
        },
      ),
      { numRuns: REQUESTS / AT_ONCE, seed: SEED, endOnFailure: LONG },
    )
    // Requests reached handlers, and caused every kind of rejection.
    expect([...statuses]).to.include.members([200, 201, 400, 401, 403, 404, 405, 413, 415])
    expect((await system.get('users/staffprofiles')).status).to.equal(200)
  })

  /** Generates credentials: none, valid sessions and tokens, and invalid ones. */
  async function credentials(): Promise<Arbitrary<Record<string, string>>> {
    const { rows } = await system.sql.query<{ id: string; password: string; email: string }>(
      `(select id, password, email from users_user where is_superuser and is_active order by id desc limit 1)
       union all
       (select id, password, email from users_user where not is_superuser and is_active and email <> ''
        order by id desc limit 1)`,
    )
    const sessions = createSessions([SYSTEM_SECRET])
    const own = await Promise.all(
      rows.map(async ({ id, password }) => ({
        ...(await sessionHeaders(await sessions.issue(id, password))),
      })),
    )
    const claims = { email: rows[1]?.email, email_verified: true }
    const expiresInS = 60 * 60
    const tokens = [
      await issuer.sign({ claims, expiresInS }),
      await issuer.sign({ claims, expiresInS: -60 }),
      await issuer.sign({ claims: { email: '\0', email_verified: true }, expiresInS }),
    ]
    return fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...own) },
      { weight: 1, arbitrary: fc.constant({}) },
      {
        weight: 1,
        arbitrary: fc.constantFrom(...tokens, '', 'a.b.c').map((token) => ({
          Authorization: `Bearer ${token}`,
        })),
      },
      {
        weight: 1,
        arbitrary: headerText.map((text) => ({
          Cookie: `spms_session=${text}; spmscsrf=%ZZ; consistency=${text}`,
          'X-CSRFToken': text,
        })),
      },
    )
  }

  function send({ method, path, headers, body }: Malformed): Promise<Received> {
    return new Promise((resolve, reject) => {
      const base = new URL(system.apis[0] ?? '')
      // Without a length Node would send the body of a GET or DELETE without framing, like another request.
      const encoded = body === undefined ? headers : { 'Content-Length': body.length, ...headers }
      const options = {
        agent,
        host: base.hostname,
        port: base.port,
        method,
        path,
        headers: encoded,
      }
      const outgoing = request(options, (res) => {
        let text = ''
        res.setEncoding('utf8')
        res.on('data', (chunk: string) => (text += chunk))
        res.on('end', () =>
          resolve({ status: res.statusCode ?? 0, type: res.headers['content-type'], text }),
        )
        res.on('error', reject)
      })
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        // The server may close an idle connection while the next request is sent on it.
        const isLate = outgoing.reusedSocket && error.code === 'ECONNRESET'
        if (isLate) send({ method, path, headers, body }).then(resolve, reject)
        else reject(error)
      })
      outgoing.end(body)
    })
  }
})

/** A line of a stack trace, in text or JSON, or a path of a source file. */
const STACK = /(\n|\\n)\s+at |\.[jt]s:\d|node_modules/

/** Error messages of Postgres, table names and statements. */
const SQL =
  /SQLSTATE|relation "|column "|constraint "|syntax error|invalid input|(users|projects|agencies)_[a-z]+|\bselect\b.*\bfrom\b/i

const WRONG_TEXTS = [
  '',
  '0',
  '00',
  '-1',
  '1.5',
  '1e3',
  '0x10',
  '2147483648',
  '9223372036854775807',
  '9223372036854775808',
  '9'.repeat(400),
  'NaN',
  'true',
  'null',
  'undefined',
  '[object Object]',
  '__proto__',
  'constructor',
  'toString',
  '../../etc/passwd',
  "' or 1=1 --",
  '\0',
  'a\0b',
  '\ud800',
  '\u{10ffff}',
  '%',
  '_%\\',
  '\r\nX-Evil: 1',
  'ا\u202e',
  'x'.repeat(2_000),
]

const wrongText: Arbitrary<string> = fc.oneof(
  fc.constantFrom(...WRONG_TEXTS),
  fc.string({ unit: 'binary', maxLength: 12 }),
)

/** Values of headers. */
const headerText: Arbitrary<string> = fc.oneof(
  fc.constantFrom('', '%ZZ', '"', '""', 'W/"', '*', ',,,', '__proto__', 'é', 'x'.repeat(3_000)),
  fc.string({ unit: fc.constantFrom(...'aZ09-_.;=,"%/\\ é'), maxLength: 40 }),
)

/** A part of a URL, in valid and invalid encodings. Not 1, the superuser who sends the requests: it could be deleted. */
const urlPart: Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('2', '3', '40', '007') },
  {
    weight: 3,
    arbitrary: wrongText.map((text) =>
      Array.from(Buffer.from(text), (byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '%',
      '%2',
      '%zz',
      '%ff',
      '%c3%28',
      '%c0%af',
      '%00',
      '%u0000',
      'é',
      '.',
      '..',
    ),
  },
)

const wrongValue: Arbitrary<unknown> = fc.oneof(
  wrongText,
  fc.constantFrom<unknown>(null, true, 0, -1, 1.5, 1e308, 2 ** 53, -(2 ** 31) - 1, [], {}, [[]]),
  fc.jsonValue({ maxDepth: 3 }),
)

/** Bodies that are invalid JSON, too large or too deep. */
const WRONG_BODIES = [
  '',
  '{',
  '[1,',
  'nul',
  '"text"',
  '1e999',
  '{"__proto__":{"is_superuser":true},"constructor":{"prototype":{"x":1}}}',
  '{"name":"\\ud800","title":"\\u0000"}',
  '{"name":1,"name":2}',
  '['.repeat(9_000),
  `${'{"a":'.repeat(3_000)}1${'}'.repeat(3_000)}`,
  JSON.stringify({ name: 'x'.repeat(2 * BODY_LIMIT) }),
  '\ufeff{}',
].map((text) => Buffer.from(text))

const WRONG_BYTES = [
  Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
  Buffer.from([0, 0, 0, 0]),
  gzipSync('{}'),
]

const bodyHeaders: Arbitrary<Record<string, string>> = fc.oneof(
  { weight: 8, arbitrary: fc.constant({ 'Content-Type': 'application/json' }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Record<string, string>>(
      {},
      { 'Content-Type': 'application/json; charset=utf-16' },
      { 'Content-Type': 'application/json; charset=nonsense' },
      { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' },
      { 'Content-Type': 'application/json', 'Content-Encoding': 'nonsense' },
      { 'Content-Type': 'multipart/form-data' },
      { 'Content-Type': 'multipart/form-data; boundary=x' },
      { 'Content-Type': 'application/x-www-form-urlencoded' },
      { 'Content-Type': ';;;' },
    ),
  },
)

const otherHeaders: Arbitrary<Record<string, string>> = fc
  .dictionary(
    fc.constantFrom(
      'If-None-Match',
      'If-Modified-Since',
      'Origin',
      'Access-Control-Request-Method',
      'X-Forwarded-For',
      'X-Forwarded-Proto',
      'X-Request-Id',
      'Consistency-Token',
      'Range',
      'Accept',
      'Cache-Control',
      'X-HTTP-Method-Override',
    ),
    headerText,
    { maxKeys: 2 },
  )
  .map((headers) => ({ ...headers }))

/** Generates requests to all these routes that are partly or completely invalid. */
function malformed(
  { paths, components }: OpenApi,
  credentials: Arbitrary<Record<string, string>>,
): Arbitrary<Malformed> {
  const resolve = (ref: string): JsonSchema => components.schemas[ref.split('/').at(-1) ?? ''] ?? {}
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
  )
  return fc.constantFrom(...operations).chain(({ path, method, parameters, requestBody }) => {
    const described = Object.values(requestBody?.content ?? {})[0]?.schema
    const names = parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name)
    const name = fc.oneof(
      ...(names.length > 0 ? [{ weight: 6, arbitrary: fc.constantFrom(...names) }] : []),
      { weight: 1, arbitrary: fc.constantFrom('__proto__', 'page[]', 'a[b][c]', 'page_size') },
    )
    const body = fc.oneof(
      ...(described
        ? [
            {
              weight: 8,
              arbitrary: nearly(described, resolve, wrongValue).map((value) =>
                Buffer.from(JSON.stringify(value) ?? ''),
              ),
            },
          ]
        : []),
      { weight: 1, arbitrary: fc.constantFrom(...WRONG_BODIES, ...WRONG_BYTES) },
      { weight: 1, arbitrary: wrongValue.map((value) => Buffer.from(JSON.stringify(value))) },
    )
    const isRead = method === 'get'
    return fc
      .record({
        method: fc.oneof(
          { weight: 12, arbitrary: fc.constant(method.toUpperCase()) },
          { weight: 1, arbitrary: fc.constantFrom('HEAD', 'OPTIONS', 'PATCH', 'PUT', 'POST') },
        ),
        parts: fc.array(urlPart, { minLength: 3, maxLength: 3 }),
        query: fc.array(fc.tuple(name, urlPart), { maxLength: isRead ? 4 : 1 }),
        credentials,
        headers: otherHeaders,
        body: fc.option(fc.tuple(body, bodyHeaders), { freq: isRead ? 1 : 12, nil: undefined }),
      })
      .map(({ parts, query, body: sent, ...rest }): Malformed => {
        let next = 0
        const filled = path.replaceAll(/\{\w+\}/g, () => parts[next++] ?? '')
        const search = query.map(([key, value]) => `${key}=${value}`).join('&')
        return {
          method: rest.method,
          path: search === '' ? filled : `${filled}?${search}`,
          headers: { ...rest.headers, ...rest.credentials, ...sent?.[1] },
          body: sent?.[0],
        }
      })
  })
}
