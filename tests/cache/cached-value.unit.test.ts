import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import * as fc from 'fast-check'
import {
  type CachedValue,
  compressGzip,
  decodeValue,
  etagOf,
  plainLengthOf,
} from '../../shared/cache/index.ts'
import { encodeValue } from '../../shared/cache/entry-store/cached-value.ts'

const time = fc.double({ min: 0, max: 4e12, noNaN: true })

describe('cached value encoding', () => {
  it('round-trips every field through bytes', () => {
    const body = fc.option(fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)))
    fc.assert(
      fc.property(body, time, time, time, (bytes, leasedAtMs, freshUntilMs, staleUntilMs) => {
        const cached: CachedValue = {
          incarnation: randomUUID().replaceAll('-', ''),
          leasedAtMs,
          freshUntilMs,
          staleUntilMs,
          etag: etagOf(bytes),
          body: bytes,
        }
        expect(decodeValue(encodeValue(cached))).to.deep.equal(cached)
      }),
      { seed: 1 },
    )
  })

  it('round-trips a compressed body, in a format of its own', async () => {
    const body = await compressGzip(Buffer.from('x'.repeat(5_000)), 6)
    const cached: CachedValue = {
      incarnation: randomUUID().replaceAll('-', ''),
      leasedAtMs: 1,
      freshUntilMs: 2,
      staleUntilMs: 3,
      etag: etagOf(body),
      encoding: 'gzip',
      body,
    }
    const bytes = encodeValue(cached)
    expect(decodeValue(bytes)).to.deep.equal(cached)
    expect(plainLengthOf(cached)).to.equal(5_000)
    expect(bytes[0]).to.equal(2)
    // Another build, which knows only plain values, must not send these bytes.
    expect(encodeValue({ ...cached, encoding: undefined })[0]).to.equal(1)
    bytes.writeUInt8(1, 1)
    expect(decodeValue(bytes)).to.equal(null)
    expect(decodeValue(encodeValue({ ...cached, body: Buffer.alloc(50) }))).to.equal(null)
    expect(decodeValue(encodeValue({ ...cached, body: body.subarray(0, 17) }))).to.equal(null)
    expect(decodeValue(encodeValue({ ...cached, body: null }))).to.equal(null)
  })

  it('decodes a missing, truncated or unknown-format value as null', () => {
    const whole = encodeValue({
      incarnation: randomUUID(),
      leasedAtMs: 1,
      freshUntilMs: 2,
      staleUntilMs: 3,
      etag: etagOf(null),
      body: null,
    })
    expect(decodeValue(whole)).to.not.equal(null)
    expect(decodeValue(null)).to.equal(null)
    expect(decodeValue(Buffer.alloc(0))).to.equal(null)
    expect(decodeValue(whole.subarray(0, -1))).to.equal(null)
    expect(decodeValue(Buffer.concat([Buffer.from([99]), whole.subarray(1)]))).to.equal(null)
  })

  it('derives the ETag from the body alone', () => {
    expect(etagOf(Buffer.from('a'))).to.match(/^"[\w-]{22}"$/)
    expect(etagOf(Buffer.from('a'))).to.equal(etagOf(Buffer.from('a')))
    expect(etagOf(Buffer.from('a'))).to.not.equal(etagOf(Buffer.from('b')))
  })
})
