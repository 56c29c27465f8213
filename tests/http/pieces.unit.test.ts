import { once } from 'node:events'
import { createServer, get, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { sendPieces } from '../../api/http/pieces.ts'

const MEGABYTE = 2 ** 20

describe('sendPieces', () => {
  const closers: (() => unknown)[] = []
  afterEach(() => closers.splice(0).forEach((close) => close()))

  /** Serves the pieces of `make`. `sent` settles with the result of `sendPieces`. */
  async function serve(make: () => AsyncIterable<string>) {
    const { promise: sent, resolve, reject } = deferred<void>()
    const server = createServer((req, res) => {
      sendPieces(req, res, make()).then(resolve, reject)
    })
    sent.catch(() => {})
    await once(server.listen(0, '127.0.0.1'), 'listening')
    closers.push(() => {
      server.closeAllConnections()
      server.close()
    })
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sent }
  }

  it('sends the pieces as one response that no cache stores', async () => {
    const { url } = await serve(async function* () {
      yield '['
      yield '1,2'
      yield ']'
    })
    const response = await fetch(url)
    expect(response.headers.get('cache-control')).to.equal('private, no-store')
    expect(response.headers.get('cache-status')).to.equal('spms; fwd=bypass; detail=private')
    expect(response.headers.get('content-length')).to.equal(null)
    expect(await response.json()).to.deep.equal([1, 2])
  })

  it('sends the first piece before the last is created', async () => {
    const first = deferred<void>()
    const { url } = await serve(async function* () {
      yield 'first '
      await first.promise
      yield 'last'
    })
    const response = await fetch(url)
    const decoder = new TextDecoder()
    let received = ''
    for await (const chunk of response.body ?? []) {
      received += decoder.decode(chunk)
      first.resolve()
    }
    expect(received).to.equal('first last')
  })

  it('pauses while the client does not read, and stops when the client disconnects', async () => {
    let made = 0
    const enough = deferred<void>()
    const ended = deferred<number>()
    const { url, sent } = await serve(async function* () {
      try {
        for (; made < 1000; made += 1) {
          if (made === 2) enough.resolve()
          yield 'x'.repeat(MEGABYTE)
        }
      } finally {
        ended.resolve(made)
      }
    })
    const outgoing = get(url)
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
    response.pause()
    await enough.promise
    outgoing.destroy()
    // The buffers of the sockets hold fewer than 100 pieces.
    expect(await ended.promise).to.be.below(100)
    await sent
  })

  it('creates no pieces for HEAD', async () => {
    let made = 0
    const { url, sent } = await serve(async function* () {
      made += 1
      yield 'x'
    })
    const outgoing = request(url, { method: 'HEAD' }).end()
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
    expect(response.statusCode).to.equal(200)
    expect(await text(response)).to.equal('')
    await sent
    expect(made).to.equal(0)
  })

  it('closes the connection if a piece fails', async () => {
    const { url, sent } = await serve(async function* () {
      yield '['
      throw new Error('no more')
    })
    const response = await fetch(url)
    const failure: unknown = await response.text().catch((error: unknown) => error)
    expect(failure).to.be.instanceOf(TypeError)
    expect(await sent.catch((error: unknown) => error)).to.have.property('message', 'no more')
  })
})

function deferred<T>() {
  let resolve!: (value: T) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<T>((...settle) => {
    ;[resolve, reject] = settle
  })
  return { promise, resolve, reject }
}
