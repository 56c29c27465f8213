import { randomUUID } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { expect } from 'chai'
import express from 'express'
import { createClient } from '../../api/http/client.ts'
import { createConsistency, currentConsistencyTokens } from '../../api/http/consistency.ts'
import { createConsistencyTokens } from '../../api/http/consistency-token.ts'
import { sendJson, sendNoContent } from '../../api/http/json.ts'
import { sendProblem } from '../../api/http/problem.ts'
import { type Moment, parseSnapshot, type Snapshot } from '../../db/event-log/index.ts'
import { bareUuid, type ConsistencyToken } from '../../shared/cache/index.ts'
import { PublicError } from '../../shared/errors.ts'
import { portOf } from '../../shared/server.ts'
import { until } from '../support/until.ts'

const LIFETIME_MS = 30_000
const incarnation = randomUUID()
const consistencyTokens = createConsistencyTokens(['s'.repeat(32)], { lifetimeMs: LIFETIME_MS })
const withUnknownSecret = createConsistencyTokens(['x'.repeat(32)], { lifetimeMs: LIFETIME_MS })
const expired = createConsistencyTokens(['s'.repeat(32)], {
  lifetimeMs: LIFETIME_MS,
  nowMs: () => Date.now() - LIFETIME_MS - 1_000,
})
const momentAt = (xmax: number): Moment => ({
  incarnation,
  snapshot: parseSnapshot(`${xmax}:${xmax}:`) as Snapshot,
})
const tokenAt = (xmax: number) => consistencyTokens.issue(momentAt(xmax))
const otherIncarnation = randomUUID()
const otherAt = (xmax: number) =>
  consistencyTokens.issue({ ...momentAt(xmax), incarnation: otherIncarnation })
/** Returns a token with an invalid signature. */
const forged = (xmax: number) => tokenAt(xmax).replace(/.{22}$/, 'A'.repeat(22))
/** Returns tokens of different incarnations, so that none includes another. */
const unrelated = (count: number) =>
  Array.from({ length: count }, () =>
    consistencyTokens.issue({ ...momentAt(1), incarnation: randomUUID() }),
  )
const many = (count: number, make: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => make(n + 1)).join()

type Handler = (req: IncomingMessage, res: ServerResponse) => unknown

describe('read-your-writes consistency over HTTP', () => {
  let moment: () => Promise<Moment>
  let handler: Handler
  let seen: readonly ConsistencyToken[]
  const consistency = createConsistency({
    consistencyTokens,
    lifetimeMs: LIFETIME_MS,
    client: createClient(1),
    findMoment: () => moment(),
  })
  const server = createServer((req, res) =>
    consistency(req, res, () => {
      seen = currentConsistencyTokens()
      void handler(req, res)
    }),
  )
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
    moment = async () => momentAt(100)
    handler = (_req, res) => sendJson(res, 200, { done: true })
  })

  const send = (method: string, headers: Record<string, string> = {}) =>
    fetch(url, { method, headers })
  const tokenOf = (res: Response) =>
    consistencyTokens.read(res.headers.get('consistency-token') ?? '')

  /** A browser with several tabs: all share one cookie jar. */
  function openBrowser() {
    const jar = new Map<string, string>()
    return {
      jar,
      ask: (method: string) =>
        send(method, { Cookie: [...jar].map((pair) => pair.join('=')).join('; ') }),
      keep(res: Response) {
        for (const cookie of res.headers.getSetCookie()) {
          const [pair = '', ...attributes] = cookie.split('; ')
          const [name = '', value = ''] = pair.split('=')
          if (attributes.includes('Max-Age=0')) jar.delete(name)
          else jar.set(name, value)
        }
      },
    }
  }

  const ways: Readonly<Record<string, Handler>> = {
    'as JSON': (_req, res) => sendJson(res, 201, { id: 1 }),
    'without content': (_req, res) => sendNoContent(res),
    'through Express': (req, res) =>
      express().post('/', (_req, answer) => void answer.status(201).json({ id: 1 }))(req, res),
    'with a reason and headers': (_req, res) =>
      res.writeHead(202, 'Accepted', { 'X-More': 'more' }).end('{}'),
    'with an implicit head': (_req, res) => res.end('{}'),
  }
  for (const [how, answer] of Object.entries(ways)) {
    it(`issues a token with a success that is sent ${how}`, async () => {
      handler = answer
      const res = await send('POST')
      expect(tokenOf(res)).to.deep.equal({
        incarnation: bareUuid(incarnation),
        snapshot: { xmax: 100n, xip: [] },
      })
      expect(res.status).to.be.within(200, 204)
      if (how === 'as JSON') expect(await res.json()).to.deep.equal({ id: 1 })
      if (how.startsWith('with a reason')) {
        expect(res.statusText).to.equal('Accepted')
        expect(res.headers.get('x-more')).to.equal('more')
      }
    })
  }

  it('reads the snapshot of the token after the handler has finished', async () => {
    let isWritten = false
    moment = async () => momentAt(isWritten ? 101 : 100)
    handler = async (_req, res) => {
      await new Promise(setImmediate)
      isWritten = true
      sendNoContent(res)
    }
    expect(tokenOf(await send('DELETE'))?.snapshot.xmax).to.equal(101n)
  })

  it('issues no token for a read or a failure', async () => {
    expect((await send('GET')).headers.has('consistency-token')).to.equal(false)
    handler = (_req, res) => sendProblem(res, new PublicError('conflict', 'No.'))
    const failed = await send('PUT')
    expect(failed.status).to.equal(409)
    expect(failed.headers.has('consistency-token')).to.equal(false)
    expect(failed.headers.getSetCookie()).to.deep.equal([])
  })

  it('issues a token that no cached value satisfies if Postgres fails after the write', async () => {
    moment = () => Promise.reject(new Error('connection lost'))
    const res = await send('PUT')
    expect(res.status).to.equal(200)
    expect(tokenOf(res)).to.include({ incarnation: null })
  })

  it('sets a cookie with the same token and lifetime, beside other cookies', async () => {
    handler = (_req, res) => {
      res.setHeader('Set-Cookie', ['spms_session=s'])
      sendNoContent(res)
    }
    const res = await send('POST', { 'X-Forwarded-Proto': 'https' })
    const [session, cookie = ''] = res.headers.getSetCookie()
    expect(session).to.equal('spms_session=s')
    expect(cookie).to.match(/^spms_token_[\w-]{8}=/)
    expect(cookie).to.contain(`=${res.headers.get('consistency-token')};`)
    expect(cookie.split('; ').slice(1)).to.have.members([
      'Max-Age=30',
      'Path=/',
      'HttpOnly',
      'Secure',
      'SameSite=Lax',
    ])
  })

  it('passes the tokens of headers and cookies to every read of a request', async () => {
    await send('GET', {
      'Consistency-Token': `${tokenAt(1)}, ${tokenAt(2)}`,
      Cookie: `a=b; spms_token_x=${otherAt(3)}; spms_token_y=${otherAt(4)}`,
    })
    // A later token includes the earlier tokens of the same incarnation.
    expect(seen.map(({ snapshot }) => snapshot.xmax)).to.deep.equal([2n, 4n])
    await send('GET')
    expect(seen).to.deep.equal([])
  })

  it('keeps the tokens of concurrent requests apart', async () => {
    const gate = new EventEmitter()
    const opened = once(gate, 'open')
    let isWaiting = false
    handler = async (_req, res) => {
      isWaiting = true
      await opened
      seen = currentConsistencyTokens()
      sendJson(res, 200, {})
    }
    const slow = send('GET', { 'Consistency-Token': tokenAt(7) })
    await until(() => isWaiting)
    handler = (_req, res) => sendJson(res, 200, {})
    await send('GET', { 'Consistency-Token': tokenAt(8) })
    gate.emit('open')
    await slow
    expect(seen.map(({ snapshot }) => snapshot.xmax)).to.deep.equal([7n])
  })

  it('ignores malformed tokens', async () => {
    const res = await send('GET', {
      'Consistency-Token': `junk, ${tokenAt(1).replace('.', 'x')}`,
      Cookie: 'spms_token_=; spms_token_z=%00; spms_token',
    })
    expect(res.status).to.equal(200)
    expect(seen).to.deep.equal([])
  })

  for (const [kind, header] of [
    ['junk', many(2_000, (n) => `x${n}`)],
    ['long junk', many(200, (n) => `${n}`.padEnd(60, 'x'))],
    ['forged', many(65, forged)],
    ['more forged than are checked', many(150, forged)],
    ['issued under an unknown secret', many(65, (n) => withUnknownSecret.issue(momentAt(n)))],
    ['expired', many(65, (n) => expired.issue(momentAt(n)))],
    ['truncated', many(65, (n) => tokenAt(n).slice(0, -1))],
  ] as const) {
    it(`ignores any number of invalid tokens: ${kind}`, async () => {
      await send('GET', { 'Consistency-Token': header })
      expect(seen).to.deep.equal([])
      const cookies = header.split(',').map((text, n) => `spms_token_${n}=${text}`)
      await send('GET', { Cookie: cookies.join('; ').slice(0, 14_000) })
      expect(seen).to.deep.equal([])
    })
  }

  it('finds a valid token after 65 forged ones', async () => {
    await send('GET', { 'Consistency-Token': `${many(65, forged)}, ${tokenAt(9)}` })
    expect(seen.map(({ snapshot }) => snapshot.xmax)).to.deep.equal([9n])
  })

  it('counts a repeated token once', async () => {
    await send('GET', { 'Consistency-Token': many(100, () => tokenAt(9)) })
    expect(seen.map(({ snapshot }) => snapshot.xmax)).to.deep.equal([9n])
  })

  it('reduces tokens that include each other to the latest', async () => {
    await send('GET', { 'Consistency-Token': many(40, tokenAt) })
    expect(seen.map(({ snapshot }) => snapshot.xmax)).to.deep.equal([40n])
  })

  it('treats more than 8 unrelated tokens as one that no cached value satisfies', async () => {
    await send('GET', { 'Consistency-Token': unrelated(8).join() })
    expect(seen).to.have.length(8)
    for (const count of [9, 70]) {
      await send('GET', { 'Consistency-Token': unrelated(count).join() })
      expect(seen).to.deep.equal([{ incarnation: null, snapshot: { xmax: 0n, xip: [] } }])
    }
  })

  it('treats more tokens than it verifies as one that no cached value satisfies', async () => {
    await send('GET', { 'Consistency-Token': many(65, tokenAt) })
    expect(seen.map(({ incarnation }) => incarnation)).to.include(null)
  })

  it('deletes at most 64 cookies in one response', async () => {
    const cookies = Array.from({ length: 500 }, (_, n) => `spms_token_${n}=x`)
    const res = await send('PUT', { Cookie: cookies.join('; ') })
    expect(res.headers.getSetCookie().length).to.be.within(2, 65)
  })

  it('keeps the tokens of two tabs that write concurrently', async () => {
    const browser = openBrowser()
    // Both requests are sent before a response arrives.
    // The response to the later write arrives first.
    moment = async () => momentAt(200)
    const one = await browser.ask('PUT')
    moment = async () => momentAt(201)
    const two = await browser.ask('PUT')
    browser.keep(two)
    browser.keep(one)
    expect(browser.jar.size).to.equal(2)
    await browser.ask('GET')
    expect(seen.map(({ snapshot }) => snapshot.xmax)).to.deep.equal([201n])

    // The token of the next write includes both.
    moment = async () => momentAt(202)
    browser.keep(await browser.ask('PUT'))
    await browser.ask('GET')
    expect(seen.map(({ snapshot }) => snapshot.xmax)).to.deep.equal([202n])
    expect(browser.jar.size).to.equal(1)
  })

  it('keeps older tokens that the new token does not include', async () => {
    const browser = openBrowser()
    browser.keep(await browser.ask('PUT'))
    moment = async () => ({ ...momentAt(5), incarnation: randomUUID() })
    browser.keep(await browser.ask('PUT'))
    moment = () => Promise.reject(new Error('connection lost'))
    browser.keep(await browser.ask('PUT'))
    await browser.ask('GET')
    expect(seen).to.have.length(3)
  })

  it('deletes cookies with tokens that are no longer valid', async () => {
    const browser = openBrowser()
    browser.jar.set('spms_token_old', 'a value of another release')
    browser.keep(await browser.ask('PUT'))
    expect([...browser.jar.keys()]).to.not.include('spms_token_old')
  })
})
