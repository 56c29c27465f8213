import { createServer, request, type RequestListener } from 'node:http'
import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { brotliDecompress, gunzip } from 'node:zlib'
import { expect } from 'chai'
import { createCompressResponse } from '../../api/http/compress-response.ts'
import { createSendReads, sendJson } from '../../api/http/json.ts'
import { sendPieces } from '../../api/http/pieces.ts'
import { createSendTagged } from '../../api/http/send-tagged.ts'
import { COMPRESSION } from '../../shared/cache/index.ts'
import { portOf } from '../../shared/server.ts'

const decoders: Readonly<Record<string, (bytes: Buffer) => Promise<Buffer>>> = {
  br: promisify(brotliDecompress),
  gzip: promisify(gunzip),
  none: async (bytes) => bytes,
}
const rows = Array.from({ length: 500 }, (_, id) => ({ id, name: 'Ngurra' }))
const plain = JSON.stringify(rows)

describe('compressResponse', () => {
  const compressResponse = createCompressResponse(COMPRESSION)
  const sends = createSendReads({ compressResponse, sendTagged: createSendTagged(COMPRESSION) })
  let listener: RequestListener
  const server = createServer((req, res) => listener(req, res))
  before((done) => void server.listen(0, '127.0.0.1', done))
  after((done) => {
    server.closeAllConnections()
    server.close(done)
  })

  const send = (accepted: string, method = 'GET') =>
    new Promise<{ headers: Record<string, unknown>; bytes: Buffer; text: string }>(
      (resolve, reject) => {
        const outgoing = request(
          { port: portOf(server), method, headers: { 'Accept-Encoding': accepted } },
          (res) => {
            const chunks: Buffer[] = []
            res.on('data', (chunk: Buffer) => chunks.push(chunk))
            res.on('end', () => {
              const bytes = Buffer.concat(chunks)
              const encoding = res.headers['content-encoding'] ?? 'none'
              const decoded = bytes.length === 0 ? bytes : decoders[encoding]?.(bytes)
              Promise.resolve(decoded).then(
                (body) => resolve({ headers: res.headers, bytes, text: String(body) }),
                reject,
              )
            })
          },
        )
        outgoing.on('error', reject)
        outgoing.end()
      },
    )

  const ways: Readonly<Record<string, RequestListener>> = {
    'JSON in one piece': (req, res) => sends.sendPrivate(req, res, rows),
    'a stream': (req, res) => {
      compressResponse(req, res)
      void sendPieces(
        req,
        res,
        (async function* () {
          for (let from = 0; from < plain.length; from += 1_000) {
            yield plain.slice(from, from + 1_000)
          }
        })(),
      )
    },
  }
  for (const [what, way] of Object.entries(ways)) {
    it(`compresses ${what} as the client accepts, and keeps no-store`, async () => {
      listener = way
      for (const [accepted, encoding] of [
        ['gzip, deflate, br', 'br'],
        ['gzip', 'gzip'],
        ['gzip, identity;q=0', 'gzip'],
        ['identity', undefined],
        ['gzip;q=0', undefined],
        ['', undefined],
      ] as const) {
        const { headers, bytes, text } = await send(accepted)
        expect(headers['content-encoding'], accepted).to.equal(encoding)
        expect(text === plain, accepted).to.equal(true)
        expect(headers['vary'], accepted).to.equal('Accept-Encoding')
        expect(headers['cache-control']).to.equal('private, no-store')
        expect(headers['cache-status']).to.match(/^spms; fwd=bypass/)
        if (encoding) expect(bytes.length).to.be.below(plain.length / 5)
      }
    })
  }

  for (const encoding of ['gzip', 'br']) {
    it(`sends the beginning of an export before its end is created, with ${encoding}`, async () => {
      const state = { isReceived: false }
      let made = 0
      listener = (req, res) => {
        compressResponse(req, res)
        void sendPieces(
          req,
          res,
          (async function* () {
            for (; !state.isReceived && made < 5_000_000; made += 50_000) {
              yield randomBytes(250).toString('hex').repeat(100)
              await setImmediate()
            }
          })(),
        )
      }
      await new Promise<void>((resolve, reject) => {
        const headers = { 'Accept-Encoding': encoding }
        const outgoing = request({ port: portOf(server), headers }, (res) => {
          res.on('data', () => (state.isReceived = true))
          res.on('end', resolve)
        })
        outgoing.on('error', reject)
        outgoing.end()
      })
      expect(made).to.be.below(3_000_000)
    })
  }

  it('sends HEAD without the length of the plain body, unless it is short', async () => {
    listener = ways['JSON in one piece'] as RequestListener
    const compressed = await send('gzip', 'HEAD')
    expect(compressed.headers).not.to.have.property('content-length')
    expect(compressed.headers['vary']).to.equal('Accept-Encoding')
    listener = (req, res) => sends.sendPrivate(req, res, { a: 1 })
    expect((await send('gzip', 'HEAD')).headers['content-length']).to.equal('7')
  })

  it('leaves short JSON plain, unless the client rejects plain bodies', async () => {
    listener = (req, res) => sends.sendPrivate(req, res, { a: 1 })
    const { headers } = await send('gzip')
    expect(headers).to.include({ vary: 'Accept-Encoding', 'content-length': '7' })
    expect(headers).not.to.have.property('content-encoding')
    const forced = await send('gzip, identity;q=0')
    expect(forced.headers['content-encoding']).to.equal('gzip')
    expect(forced.text).to.equal('{"a":1}')
  })

  it('does not compress answers to writes', async () => {
    listener = (req, res) => {
      compressResponse(req, res)
      sendJson(res, 200, rows)
    }
    const { headers, text } = await send('gzip, br', 'POST')
    expect(headers).not.to.have.property('content-encoding')
    expect(headers).not.to.have.property('vary')
    expect(text).to.equal(plain)
  })

  it('gives each encoding of a writable resource its own strong tag', async () => {
    listener = (req, res) => void sends.sendResource(req, res, plain)
    const [compressed, whole] = [await send('gzip, br'), await send('identity')]
    expect(compressed.headers['content-encoding']).to.equal('gzip')
    expect([compressed.text, whole.text]).to.deep.equal([plain, plain])
    expect(whole.headers['etag']).to.match(/^"[\w-]{22}"$/)
    expect(compressed.headers['etag']).to.equal(
      String(whole.headers['etag']).replace(/"$/, '-gzip"'),
    )
    expect(compressed.headers['cache-control']).to.equal('private, no-store')
  })
})
