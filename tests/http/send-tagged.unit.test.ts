import { createServer, request } from 'node:http'
import { promisify } from 'node:util'
import { gunzip, gzipSync } from 'node:zlib'
import { expect } from 'chai'
import * as fc from 'fast-check'
import { createSendTagged, type TaggedBody } from '../../api/http/send-tagged.ts'
import { portOf } from '../../shared/server.ts'

interface Received {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Buffer
}

/** A member of `Accept-Encoding`. */
interface Member {
  readonly coding: 'gzip' | 'identity' | '*' | 'br'
  readonly q: number
}

const COMPRESSION = { minBytes: 100, level: 6 }
const LONG = Buffer.from('{"name":"Ngurra"}'.repeat(20))
const SHORT = Buffer.from('[]')

const bodies: Readonly<Record<string, TaggedBody>> = {
  'stored, compressed': {
    body: gzipSync(LONG),
    encoding: 'gzip',
    etag: '"x"',
    isCompressible: false,
  },
  'to be stored': { body: LONG, etag: '"x"', isCompressible: false },
  'never stored': { body: LONG, etag: '"x"', isCompressible: true },
  short: { body: SHORT, etag: '"x"', isCompressible: true },
}

const member: fc.Arbitrary<Member> = fc.record({
  coding: fc.constantFrom('gzip', 'identity', '*', 'br'),
  q: fc.integer({ min: 0, max: 10 }).map((tenths) => tenths / 10),
})
const members = fc.uniqueArray(member, { selector: ({ coding }) => coding, maxLength: 4 })
const headerOf = (list: readonly Member[]): string =>
  list.map(({ coding, q }) => (q === 1 ? coding : `${coding};q=${q}`)).join(', ')

/** The weight of a coding by RFC 9110; undefined if the header does not give it one. */
const weightOf = (list: readonly Member[], coding: string): number | undefined =>
  list.find((one) => one.coding === coding)?.q ?? list.find((one) => one.coding === '*')?.q

describe('sendTagged', () => {
  const sendTagged = createSendTagged(COMPRESSION)
  let tagged: TaggedBody
  const server = createServer((req, res) => {
    void sendTagged(req, res, tagged, ['Vary', 'Accept-Encoding'])
  })
  before((done) => void server.listen(0, '127.0.0.1', done))
  after((done) => {
    server.closeAllConnections()
    server.close(done)
  })

  const send = (headers: Record<string, string>, method = 'GET') =>
    new Promise<Received>((resolve, reject) => {
      const outgoing = request({ port: portOf(server), method, headers }, (res) => {
        const chunks: Buffer[] = []
        res.on('data', (chunk: Buffer) => chunks.push(chunk))
        res.on('end', () =>
          resolve({
            status: res.statusCode ?? 0,
            headers: res.headers as Received['headers'],
            body: Buffer.concat(chunks),
          }),
        )
      })
      outgoing.on('error', reject)
      outgoing.end()
    })

  for (const [what, one] of Object.entries(bodies)) {
    const plain = one.encoding === undefined ? one.body : LONG

    it(`sends an accepted encoding with its tag and its length, for a body that is ${what}`, async () => {
      await fc.assert(
        fc.asyncProperty(members, async (list) => {
          tagged = one
          const headers = { 'Accept-Encoding': headerOf(list) }
          const { status, headers: received, body } = await send(headers)
          const encoding = received['content-encoding']
          expect(status).to.equal(200)
          expect(received['content-length']).to.equal(String(body.length))
          expect(received['vary']).to.equal('Accept-Encoding')
          expect(received['etag']).to.equal(encoding === 'gzip' ? '"x-gzip"' : '"x"')
          const decoded = encoding === 'gzip' ? await promisify(gunzip)(body) : body
          expect(decoded.equals(plain)).to.equal(true)

          const gzip = weightOf(list, 'gzip') ?? 0
          const identity = weightOf(list, 'identity')
          if (encoding === 'gzip') {
            expect(gzip).to.be.above(0)
            expect(gzip).to.be.at.least(identity ?? 0)
          } else if (identity === 0) expect(gzip).to.equal(0)

          const head = await send(headers, 'HEAD')
          expect(head.body.length).to.equal(0)
          for (const name of ['content-length', 'content-encoding', 'etag', 'vary']) {
            expect(head.headers[name], name).to.equal(received[name])
          }
        }),
        { seed: 1, numRuns: 200 },
      )
    })

    it(`answers 304 only with the tag of an accepted encoding, for a body that is ${what}`, async () => {
      await fc.assert(
        fc.asyncProperty(
          members,
          fc.subarray(['"x"', 'W/"x"', '"x-gzip"', '"y"'], { minLength: 1 }),
          async (list, held) => {
            tagged = one
            const headers = { 'Accept-Encoding': headerOf(list) }
            const sent = await send(headers)
            const again = { ...headers, 'If-None-Match': sent.headers['etag'] as string }
            expect((await send(again)).status).to.equal(304)

            const reply = await send({ ...headers, 'If-None-Match': held.join(', ') })
            const gzip = weightOf(list, 'gzip') ?? 0
            const isPlainAccepted = weightOf(list, 'identity') !== 0
            const usable = [
              ...(gzip > 0 && held.includes('"x-gzip"') ? ['"x-gzip"'] : []),
              ...(isPlainAccepted && /(^|\/|, )"x"/.test(held.join(', ')) ? ['"x"'] : []),
            ]
            if (usable.length > 0) expect(reply.status).to.equal(304)
            if (reply.status === 200) return
            expect(reply.headers['vary']).to.equal('Accept-Encoding')
            expect(reply.headers).not.to.have.property('content-encoding')
            // A client that rejects both encodings gets what it holds.
            expect(usable.length > 0 ? usable : ['"x"']).to.include(reply.headers['etag'])
          },
        ),
        { seed: 1, numRuns: 200 },
      )
    })
  }

  it('sends a plain body without Accept-Encoding, and matches either tag then', async () => {
    tagged = bodies['stored, compressed'] as TaggedBody
    const { headers, body } = await send({})
    expect(headers).not.to.have.property('content-encoding')
    expect(body.equals(LONG)).to.equal(true)
    for (const tag of ['"x"', '"x-gzip"', '*']) {
      expect((await send({ 'If-None-Match': tag })).status, tag).to.equal(304)
    }
  })

  it('prefers gzip to a plain body that the client accepts equally, by any spelling', async () => {
    tagged = bodies['stored, compressed'] as TaggedBody
    for (const header of [
      'gzip',
      'GZIP',
      'gzip, deflate, br, zstd',
      '*',
      'identity;q=0.5, *',
      'br, gzip;q=0.1',
    ]) {
      const { headers } = await send({ 'Accept-Encoding': header })
      expect(headers['content-encoding'], header).to.equal('gzip')
    }
    for (const header of ['', 'identity', 'gzip;q=0', 'br', 'gzip;q=x', 'gzip;q=0.5, identity']) {
      const { headers } = await send({ 'Accept-Encoding': header })
      expect(headers, header).not.to.have.property('content-encoding')
    }
  })

  it('compresses a body that is to be stored only for clients that reject plain ones', async () => {
    tagged = bodies['to be stored'] as TaggedBody
    const chosen = async (header: string) =>
      (await send({ 'Accept-Encoding': header })).headers['content-encoding']
    expect(await chosen('gzip')).to.equal(undefined)
    expect(await chosen('gzip, identity;q=0')).to.equal('gzip')
    tagged = bodies['never stored'] as TaggedBody
    expect(await chosen('gzip')).to.equal('gzip')
  })

  it('fails without a response if the stored bytes are damaged', async () => {
    const damaged = gzipSync(LONG)
    damaged.fill(0, 12, 20)
    const failing = createServer((req, res) => {
      Promise.resolve(
        sendTagged(
          req,
          res,
          { ...(bodies['stored, compressed'] as TaggedBody), body: damaged },
          [],
        ),
      ).catch(() => res.writeHead(500).end())
    })
    await new Promise<void>((resolve) => failing.listen(0, '127.0.0.1', resolve))
    try {
      const response = await fetch(`http://127.0.0.1:${portOf(failing)}/`, {
        headers: { 'Accept-Encoding': 'identity' },
      })
      expect(response.status).to.equal(500)
    } finally {
      failing.closeAllConnections()
      failing.close()
    }
  })
})
