import { createServer, request } from 'node:http'
import { expect } from 'chai'
import { type Audience, createSendAnswer } from '../../api/http/answer.ts'
import { createSendTagged } from '../../api/http/send-tagged.ts'
import { type Answer, COMPRESSION } from '../../shared/cache/index.ts'
import { portOf } from '../../shared/server.ts'

const body = Buffer.from('{"name":"Ngurra"}')
const hit: Answer = { outcome: 'hit', body, etag: '"abc"', ageMs: 61_500, ttlMs: 10_900 }

describe('sendAnswer', () => {
  const sendTagged = createSendTagged(COMPRESSION)
  const sendAnswer = createSendAnswer({ sendTagged, edgeMaxAgeS: 5 })
  let answer: Answer
  let audience: Audience
  const server = createServer((req, res) => {
    void sendAnswer(req, res, answer, audience, 'Profile 5 not found')
  })
  let url: string

  before((done) => {
    server.listen(0, '127.0.0.1', () => {
      url = `http://127.0.0.1:${portOf(server)}/`
      done()
    })
  })
  after((done) => {
    server.closeAllConnections()
    server.close(done)
  })
  beforeEach(() => {
    answer = hit
    audience = 'anyone'
  })

  const statusOf = async (ifNoneMatch: string) =>
    (await fetch(url, { headers: { 'If-None-Match': ifNoneMatch } })).status

  it('sends the body with its caching headers', async () => {
    const res = await fetch(url)
    expect(res.status).to.equal(200)
    expect(await res.text()).to.equal(body.toString())
    expect(Object.fromEntries(res.headers)).to.include({
      'cache-status': 'spms; hit; ttl=10',
      // s-maxage includes the Age of 61 s, so the answer stays fresh for edgeMaxAgeS = 5 s.
      'cache-control': 'public, max-age=0, s-maxage=66, must-revalidate',
      vary: 'Cookie, Authorization, Consistency-Token, Accept-Encoding',
      etag: '"abc"',
      age: '61',
      'content-type': 'application/json; charset=utf-8',
      'content-length': '17',
    })
  })

  it('reports each cache outcome in Cache-Status', async () => {
    const statuses: [Partial<Answer>, string][] = [
      [{ outcome: 'miss', ttlMs: 3_600_000 }, 'spms; fwd=miss; ttl=3600'],
      [{ outcome: 'miss', collapsed: true }, 'spms; fwd=miss; collapsed; ttl=10'],
      [{ outcome: 'stale', ttlMs: -2_500 }, 'spms; fwd=stale; ttl=-3'],
      [{ outcome: 'bypass', detail: 'redis', ttlMs: 0 }, 'spms; fwd=bypass; detail=redis'],
    ]
    for (const [change, expected] of statuses) {
      answer = { ...hit, ...change }
      expect((await fetch(url)).headers.get('cache-status')).to.equal(expected)
    }
  })

  it('keeps user-specific answers out of shared caches, and bypasses out of all caches', async () => {
    audience = 'user'
    const res = await fetch(url)
    expect(res.headers.get('cache-control')).to.equal('private, no-cache')
    expect(res.headers.get('vary')).to.equal('Accept-Encoding')
    answer = { ...hit, outcome: 'bypass' }
    expect((await fetch(url)).headers.get('cache-control')).to.equal('private, no-store')
    audience = 'anyone'
    expect((await fetch(url)).headers.get('cache-control')).to.equal('no-store')
  })

  it('answers 304 to a client that has the current version', async () => {
    for (const held of ['"abc"', 'W/"abc"', '"x", W/"abc" , "y"', '*']) {
      expect(await statusOf(held), held).to.equal(304)
    }
    for (const held of ['"abd"', 'abc', '"x,abc"', '', 'W/']) {
      expect(await statusOf(held), held).to.equal(200)
    }
    const res = await fetch(url, { headers: { 'If-None-Match': '"abc"' } })
    expect(await res.text()).to.equal('')
    expect(res.headers.get('etag')).to.equal('"abc"')
    expect(res.headers.get('cache-status')).to.equal('spms; hit; ttl=10')
    expect(res.headers.get('vary')).to.equal(
      'Cookie, Authorization, Consistency-Token, Accept-Encoding',
    )
  })

  it('answers HEAD like GET without the body', async () => {
    const res = await fetch(url, { method: 'HEAD' })
    expect(res.status).to.equal(200)
    expect(res.headers.get('content-length')).to.equal('17')
    expect(res.headers.get('etag')).to.equal('"abc"')
    expect(await res.text()).to.equal('')
  })

  it('answers 404 with Cache-Status for an entity that does not exist', async () => {
    answer = { ...hit, body: null }
    const res = await fetch(url, { headers: { 'If-None-Match': '*' } })
    expect(res.status).to.equal(404)
    expect(res.headers.get('content-type')).to.equal('application/problem+json')
    expect(res.headers.get('cache-status')).to.equal('spms; hit; ttl=10')
    expect(await res.json()).to.deep.equal({
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      detail: 'Profile 5 not found',
      instance: '/',
    })
  })

  it('sends headers and body in one write', async () => {
    const chunks: Buffer[] = []
    await new Promise<void>((resolve) => {
      const req = request(url)
      req.on('socket', (socket) => {
        socket.on('data', (chunk) => {
          chunks.push(chunk)
          resolve()
        })
      })
      req.end()
    })
    expect(Buffer.concat(chunks).toString()).to.include('Ngurra')
    expect(chunks).to.have.length(1)
  })
})
