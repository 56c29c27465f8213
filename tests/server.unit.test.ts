import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { closeServer, listen, oneAtATime } from '../shared/server.ts'
import { until } from './support/until.ts'

describe('oneAtATime', () => {
  let server: Server
  let started: string[]
  let closed: string[]
  let finish: (() => void)[]

  beforeEach(() => {
    started = []
    closed = []
    finish = []
  })
  afterEach(() => {
    server.closeAllConnections()
    return closeServer(server)
  })

  /** Sends the requests at once on one connection. */
  async function send(answer: RequestListener, requests: readonly string[]) {
    server = createServer(
      oneAtATime((req, res) => {
        started.push(urlOf(req))
        res.once('close', () => closed.push(urlOf(req)))
        answer(req, res)
      }),
    )
    const socket = connect(await listen(server, { host: '127.0.0.1', port: 0, setting: '' }))
    socket.on('error', () => {})
    socket.write(requests.join(''))
    return socket
  }

  const urlOf = ({ url = '' }: IncomingMessage) => url
  const get = (url: string, more = '') => `GET ${url} HTTP/1.1\r\nHost: x\r\n${more}\r\n`
  const hold: RequestListener = (_req, res) => void finish.push(() => res.end())

  it('answers the requests of a connection in their order, also those with a body', async () => {
    const echo: RequestListener = (req, res) => {
      void text(req).then((body) => setImmediate(() => res.end(`<${urlOf(req)} ${body}>`)))
    }
    const body = 'b'.repeat(100_000)
    const post = `POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    const socket = await send(echo, [get('/1'), post, get('/3', 'Connection: close\r\n')])
    expect((await text(socket)).match(/<.*>/g)).to.deep.equal(['</1 >', `</2 ${body}>`, '</3 >'])
    expect(closed).to.deep.equal(['/1', '/2', '/3'])
  })

  it('answers requests whose responses are complete at once', async () => {
    const socket = await send(
      (req, res) => res.end(`<${urlOf(req)}>`),
      [get('/1'), get('/2'), get('/3', 'Connection: close\r\n')],
    )
    expect((await text(socket)).match(/<.*>/g)).to.deep.equal(['</1>', '</2>', '</3>'])
  })

  it('starts no request of a client that has disconnected, and closes each that it started', async () => {
    const socket = await send(hold, [get('/1'), get('/2'), get('/3')])
    await until(() => started.length > 0)
    finish[0]?.()
    await until(() => started.length > 1)
    socket.destroy()
    await until(() => closed.length === 2)
    expect(started).to.deep.equal(['/1', '/2'])
  })

  it('closes a connection on which many requests wait', async () => {
    const requests = Array.from({ length: 1_000 }, (_, i) => get(`/${i}`))
    const socket = await send(hold, requests)
    await once(socket, 'close')
    await until(() => closed.length === 1)
    expect(started).to.deep.equal(['/0'])
  })
})
