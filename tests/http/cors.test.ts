import { expect } from 'chai'
import { startTestApi, type TestApi } from '../routes/test-api.ts'

const ORIGIN = 'https://spms.example'
const [LEA] = [1]

describe('CORS', () => {
  let api: TestApi

  before(async () => {
    api = await startTestApi({
      http: {
        corsOrigins: ['http://127.0.0.1:3000', ORIGIN],
        rateLimit: { perS: 1, burst: 20 },
      },
    })
    await api.reset()
  })
  after(() => api[Symbol.asyncDispose]())

  const preflight = (origin: string) =>
    api.send('OPTIONS', 'agencies/branches/21', {
      headers: {
        Origin: origin,
        'Access-Control-Request-Method': 'PUT',
        'Access-Control-Request-Headers': 'x-csrftoken,content-type',
      },
    })

  it('answers the preflight of a listed origin without authentication', async () => {
    const { status, headers, body } = await preflight(ORIGIN)
    expect(status).to.equal(204)
    expect(body).to.equal('')
    expect(headers).to.include({
      'access-control-allow-origin': ORIGIN,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'GET,HEAD,POST,PUT,DELETE',
      'access-control-allow-headers':
        'X-CSRFToken,Content-Type,Authorization,Consistency-Token,If-Match,If-None-Match',
      'access-control-max-age': '7200',
      vary: 'Origin',
    })
    for (const other of [`${ORIGIN}.evil.example`, 'http://spms.example', 'null']) {
      expect((await preflight(other)).headers, other).not.to.have.property(
        'access-control-allow-origin',
      )
    }
  })

  it('exposes responses and their headers to a listed origin', async () => {
    const headers = { Origin: ORIGIN }
    const own = await api.send('GET', 'agencies/branches', { as: LEA, headers })
    expect(own.status).to.equal(200)
    expect(own.headers).to.include({
      'access-control-allow-origin': ORIGIN,
      'access-control-expose-headers':
        'Cache-Status,ETag,Age,Consistency-Token,Location,Retry-After,WWW-Authenticate,X-Request-Id',
      vary: 'Origin, Accept-Encoding',
    })
    const rejected = await api.send('GET', 'agencies/branches', { headers })
    expect(rejected.status).to.equal(401)
    expect(rejected.headers).to.include({ 'access-control-allow-origin': ORIGIN })
  })

  it('varies public responses by Origin, also for origins that are not listed', async () => {
    for (const headers of [{ Origin: ORIGIN }, { Origin: 'https://other.example' }, {}]) {
      const page = await api.send('GET', 'users/staffprofiles', { headers })
      expect(page.status).to.equal(200)
      expect(page.headers).to.include({
        vary: 'Origin, Cookie, Authorization, Consistency-Token, Accept-Encoding',
      })
      const allowed = 'Origin' in headers && headers.Origin === ORIGIN ? ORIGIN : undefined
      expect(page.headers['access-control-allow-origin']).to.equal(allowed)
      const etag = String(page.headers['etag'])
      const same = await api.send('GET', 'users/staffprofiles', {
        headers: { ...headers, 'If-None-Match': etag },
      })
      expect(same.status).to.equal(304)
      expect(same.headers).to.include({
        vary: 'Origin, Cookie, Authorization, Consistency-Token, Accept-Encoding',
      })
    }
  })

  it('exposes a 429 to a listed origin, and counts preflights towards the limit', async () => {
    const headers = { Origin: ORIGIN }
    let answer = await preflight(ORIGIN)
    for (let sent = 1; answer.status !== 429; sent++) {
      expect(answer.status).to.equal(204)
      expect(sent).to.be.below(40)
      answer = await preflight(ORIGIN)
    }
    expect(answer.headers).to.have.property('retry-after')
    const read = await api.send('GET', 'nowhere', { headers })
    expect(read.status).to.equal(429)
    expect(read.headers).to.include({ 'access-control-allow-origin': ORIGIN })
    expect(read.headers).to.have.property('retry-after')
  })

  it('sends no CORS headers if no origin is configured', async () => {
    await using plain = await startTestApi()
    await plain.reset()
    const page = await plain.send('GET', 'users/staffprofiles', { headers: { Origin: ORIGIN } })
    expect(page.headers).to.include({
      vary: 'Cookie, Authorization, Consistency-Token, Accept-Encoding',
    })
    expect(page.headers).not.to.have.property('access-control-allow-origin')
    const { status } = await plain.send('OPTIONS', 'users/staffprofiles', {
      headers: { Origin: ORIGIN, 'Access-Control-Request-Method': 'GET' },
    })
    expect(status).to.equal(405)
  })
})
