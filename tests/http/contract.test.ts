import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { startTestApi, type TestApi, type TestRequest } from '../routes/test-api.ts'

const [LEA, MEL, SUE, OUT] = [1, 2, 3, 4]

const CREATIONS: readonly (readonly [path: string, as: number, body: object])[] = [
  ['adminoptions/tasks', LEA, { action: 'deleteproject', project: 51, reason: 'Over' }],
  ['agencies/affiliations', SUE, { name: 'New' }],
  ['agencies/branches', SUE, { name: 'New', agency: 11 }],
  ['agencies/business_areas', SUE, { name: 'New', agency: 11 }],
  ['agencies/divisions', SUE, { name: 'New', slug: 'new' }],
  ['agencies/services', SUE, { name: 'New' }],
  ['caretakers/list', SUE, { user: LEA, caretaker: OUT }],
  ['caretakers/admin-set', SUE, { user_id: MEL, caretaker_id: OUT, reason: 'Leave' }],
  ['caretakers/requests/create', SUE, { user_id: SUE, caretaker_id: OUT }],
  [
    'caretakers/requests/create',
    SUE,
    { user_id: OUT, caretaker_id: LEA, approve_immediately: true },
  ],
  [
    'users/profiles/41/employment_entries',
    LEA,
    { position_title: 'New', start_year: 2001, employer: null },
  ],
  [
    'users/profiles/41/education_entries',
    LEA,
    { qualification_name: 'New', end_year: 2001, institution: 'UWA' },
  ],
  ['projects/list', MEL, { kind: 'external', title: 'New', projectLead: OUT }],
  ['projects/project_members', LEA, { project: 51, user: OUT, role: 'research' }],
  ['projects/project_details', LEA, { project: 51 }],
  ['projects/student_project_details', LEA, { project: 51, level: 'phd' }],
  ['projects/external_project_details', LEA, { project: 51 }],
  ['projects/project_areas', LEA, { project: 51, areas: [201] }],
  ['users/staffprofiles', OUT, { about: 'New' }],
]

describe('the HTTP contract', () => {
  let api: TestApi
  let server: Server

  before(async () => {
    api = await startTestApi()
    await api.reset()
    server = createServer(api.app)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  })
  after(async () => {
    server.closeAllConnections()
    server.close()
    await api[Symbol.asyncDispose]()
  })

  /** Sends a chunked body, and returns the status. */
  const sendChunks = (
    method: string,
    path: string,
    headers: Record<string, string>,
    chunks: readonly string[],
  ): Promise<number> =>
    new Promise((resolve, reject) => {
      const { port } = server.address() as AddressInfo
      const sent = request(
        {
          port,
          method,
          path: `/api/v1/${path}`,
          headers: { 'Transfer-Encoding': 'chunked', ...headers },
        },
        (res) => {
          res.resume()
          res.on('end', () => resolve(res.statusCode ?? 0))
        },
      )
      sent.on('error', reject)
      sent.flushHeaders()
      for (const chunk of chunks) sent.write(chunk)
      sent.end()
    })

  for (const [path, as, body] of CREATIONS) {
    it(`answers a creation with Location and ETag: ${path} ${JSON.stringify(body)}`, async () => {
      const created = await api.send('POST', path, { as, body })
      expect(created.status, JSON.stringify(created.body)).to.equal(201)
      const location = String(created.headers['location'])
      expect(location).to.match(/^\/api\/v1\//)
      const read = await api.send('GET', location.replace('/api/v1/', ''), { as })
      expect(read.status).to.equal(200)
      expect(created.headers['etag']).to.be.a('string').and.to.equal(read.headers['etag'])
    })
  }

  it('sends a WWW-Authenticate challenge with every 401', async () => {
    const requests: readonly (readonly [string, string, TestRequest])[] = [
      ['GET', 'users/me', {}],
      ['PUT', 'projects/51', { body: {} }],
      ['POST', 'users/log-in', { body: { username: 'unknown', password: 'x' } }],
    ]
    for (const [method, path, sent] of requests) {
      const { status, headers } = await api.send(method, path, sent)
      expect(status, path).to.equal(401)
      expect(headers['www-authenticate'], path).to.be.a('string').and.not.to.equal('')
    }
  })

  it('keeps the standard members of problem details beside a field of the same name', async () => {
    const { status, body } = await api.send('PUT', 'projects/51?x=1', {
      as: SUE,
      body: { title: '', status: 'wrong', number: -1 },
    })
    expect(status).to.equal(400)
    expect(body).to.deep.include({
      type: 'about:blank',
      title: 'Bad Request',
      status: 400,
      instance: '/api/v1/projects/51',
      errors: {
        title: ['This field may not be blank.'],
        status: ['"wrong" is not a valid choice.'],
        number: ['Ensure this value is greater than or equal to 0.'],
      },
      number: ['Ensure this value is greater than or equal to 0.'],
    })
  })

  it('encodes a path with invalid URI characters in the instance of problem details', async () => {
    for (const path of ['a"b', 'a|b', 'a%zz', 'a^`{}']) {
      const { body } = await api.send('GET', `nowhere/${path}`)
      const { instance } = body as { instance: string }
      expect(instance, path).to.match(/^\/api\/v1\/nowhere\/(?:[\w./-]|%[\dA-F]{2})+$/i)
    }
  })

  it('treats an empty chunked body as no body', async () => {
    const headers = { 'X-CSRFToken': 'x' }
    // The requests are anonymous, so an accepted body leads to 401.
    expect(await sendChunks('POST', 'users/log-out', headers, [])).to.equal(401)
    expect(
      await sendChunks('POST', 'users/log-out', { 'Content-Type': 'text/plain' }, []),
    ).to.equal(401)
    expect(await sendChunks('GET', 'users/staffprofiles', {}, [])).to.equal(200)
    expect(
      await sendChunks('POST', 'users/log-out', { 'Content-Type': 'text/plain' }, ['x']),
    ).to.equal(415)
    expect(await sendChunks('POST', 'users/log-out', headers, ['x'])).to.equal(415)
  })

  it('answers an unknown path with 404 and a wrong method with 405 regardless of the body', async () => {
    for (const [type, body] of [
      ['multipart/form-data; boundary=x', '--x--'],
      ['application/json', '{"a":'],
      ['application/json', JSON.stringify('x'.repeat(20_000))],
    ] as const) {
      const headers = { 'Content-Type': type }
      expect((await api.send('POST', 'nowhere', { body, headers })).status, type).to.equal(404)
      expect((await api.send('PUT', 'users/log-in', { body, headers })).status, type).to.equal(405)
    }
    const headers = { 'Content-Type': 'multipart/form-data; boundary=x' }
    const known = await api.send('POST', 'users/log-in', { body: '--x--', headers })
    expect(known.status).to.equal(415)
  })
})
