import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { expect } from 'chai'
import fc, { type Arbitrary } from 'fast-check'
import sharp from 'sharp'
import { createSessions } from '../../api/session/session.ts'
import { LONG } from '../support/long.ts'
import { sessionHeaders } from '../support/session-headers.ts'
import { startSystem, type System, SYSTEM_SECRET } from '../support/system.ts'
import { until } from '../support/until.ts'
import {
  createMediaRoot,
  FORM_TYPE,
  formOf,
  type FormPart,
  jpegOf,
  type MediaRoot,
  pngOf,
} from './media.ts'

const UPLOADS = LONG ? 1_000 : 60
const SEED = 20261130
const MAX_RSS = 300 * 2 ** 20
const DOCKERFILE = new URL('../../Dockerfile.api', import.meta.url)
const WORLD = new URL('../routes/world.sql', import.meta.url)

/** A request: the bytes of its body, and how many of them are sent before the client leaves. */
interface Upload {
  readonly type: string
  readonly body: Buffer
  /** Declared length, or undefined for a chunked body. */
  readonly length: number | undefined
  readonly sent: number
}

/** Changes, removes or repeats bytes of an image. */
const damaged = (images: readonly Buffer[]): Arbitrary<Buffer> =>
  fc
    .record({
      image: fc.constantFrom(...images),
      changes: fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255)), {
        maxLength: 6,
      }),
      cut: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 1 }),
      tail: fc.oneof(
        fc.constant(''),
        fc.constant('<script>alert(1)</script>'),
        fc.constant('PK\x03\x04'),
      ),
    })
    .map(({ image, changes, cut, tail }) => {
      const bytes = Buffer.from(image)
      for (const [at, value] of changes) bytes[Math.floor(at * (bytes.length - 1))] = value
      const kept = cut === null ? bytes : bytes.subarray(0, Math.floor(cut * bytes.length))
      return Buffer.concat([kept, Buffer.from(tail, 'latin1')])
    })

const content = (images: readonly Buffer[]): Arbitrary<Buffer> =>
  fc.oneof(
    { weight: 1, arbitrary: fc.constantFrom(...images) },
    { weight: 4, arbitrary: damaged(images) },
    {
      weight: 1,
      arbitrary: fc.uint8Array({ maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)),
    },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom(
          '<svg xmlns="http://www.w3.org/2000/svg"/>',
          '<!doctype html>',
          '%PDF-1.7',
          '',
        )
        .map((text) => Buffer.from(text)),
    },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 1, max: 500_000 }).map((size) => Buffer.alloc(size)),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(fc.nat(2 ** 31), fc.nat(2 ** 31)).map(([w, h]) => sized(w, h)),
    },
  )

/** Returns the beginning of a PNG with these dimensions. */
function sized(width: number, height: number): Buffer {
  const bytes = Buffer.alloc(200)
  bytes.write('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'latin1')
  bytes.writeUInt32BE(width, 16)
  bytes.writeUInt32BE(height, 20)
  bytes.set([8, 2], 24)
  return bytes
}

const name = fc.oneof(fc.constantFrom('image', 'about', '__proto__', ''), fc.string())
const filename = fc.constantFrom('a.png', '../../a.png', 'a.svg', '', 'a\0.png', undefined)

function upload(images: readonly Buffer[]): Arbitrary<Upload> {
  const part = fc.record({ name, filename, content: content(images) })
  const file = content(images).map((bytes) => ({
    name: 'image',
    filename: 'a.png',
    content: bytes,
  }))
  const form: Arbitrary<readonly FormPart[]> = fc.oneof(
    fc
      .array(part, { maxLength: 3 })
      .map((parts) =>
        parts.map(({ filename: called, ...rest }) =>
          called === undefined ? rest : { ...rest, filename: called },
        ),
      ),
    file.map((one) => [one]),
  )
  return fc
    .record({
      form,
      type: fc.oneof(
        { weight: 8, arbitrary: fc.constant(FORM_TYPE) },
        {
          weight: 1,
          arbitrary: fc.constantFrom(
            'multipart/form-data',
            'multipart/form-data; boundary=',
            'multipart/form-data; boundary=other',
            'image/png',
            'application/json',
          ),
        },
      ),
      noise: fc.option(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255)), {
        freq: 1,
      }),
      length: fc.constantFrom('right', 'right', 'none', 'none', 'short', 'long'),
      sent: fc.oneof(
        { weight: 3, arbitrary: fc.constant(1) },
        { weight: 1, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) },
      ),
    })
    .map(({ form: parts, type, noise, length, sent }) => {
      const body = formOf(parts)
      if (noise) body[Math.floor(noise[0] * (body.length - 1))] = noise[1]
      const lengths = {
        right: body.length,
        none: undefined,
        short: Math.floor(body.length / 2),
        long: body.length + 1_000,
      }
      return { type, body, length: lengths[length], sent: Math.floor(sent * body.length) }
    })
}

describe('uploads', function () {
  this.timeout(LONG ? 20 * 60_000 : 120_000)
  let system: System
  let media: MediaRoot

  before(async () => {
    media = await createMediaRoot()
    system = await startSystem({
      world: await readFile(WORLD, 'utf8'),
      apiEnv: {
        MEDIA_ROOT: media.path,
        UPLOAD_LIMIT_BYTES: '200000',
        ...(await readAllocatorSettings()),
      },
    })
  })
  after(async () => {
    await system[Symbol.asyncDispose]()
    await media[Symbol.asyncDispose]()
  })

  it(`are never answered with 5xx, and leave no file behind: ${UPLOADS} malformed ones`, async () => {
    const images = [
      await pngOf({ width: 40, height: 30 }),
      await jpegOf({ width: 40, height: 30 }),
      await jpegOf({ width: 400, height: 300 }),
    ]
    const headers = await headersOf('1')
    const statuses: Record<string, number> = {}
    await fc.assert(
      fc.asyncProperty(upload(images), async (one) => {
        const status = await send(system, headers, one)
        statuses[status ?? 'none'] = (statuses[status ?? 'none'] ?? 0) + 1
        if (status !== null) expect(status).to.be.below(500)
        await untilOnlyAvatar()
      }),
      { seed: SEED, numRuns: UPLOADS, endOnFailure: true },
    )
    // Valid images among the malformed ones.
    expect(statuses).to.include.keys('200', '400')
    expect(await media.list()).to.have.length(1)
    expect(await memory(), JSON.stringify(statuses)).to.be.within(1, MAX_RSS)
  })

  it('decode the largest accepted images one at a time, below 300 MiB', async () => {
    const largest = { width: 4_600, height: 3_470, channels: 3, background: 'teal' } as const
    const encode = () => sharp({ create: largest })
    // Progressive images are decoded as a whole.
    const jpeg = await encode().jpeg({ progressive: true, quality: 20 }).toBuffer()
    const more = LONG ? [await encode().png({ compressionLevel: 9 }).toBuffer(), jpeg, jpeg] : []
    const headers = await headersOf('1')
    const uploads = Promise.all(
      [jpeg, jpeg, jpeg, ...more].map((content) => {
        const body = formOf([{ name: 'image', filename: 'a.png', content }])
        const { length } = body
        return send(system, headers, { type: FORM_TYPE, body, length, sent: length })
      }),
    )
    const peak = await memoryUntil(uploads)
    expect([...new Set(await uploads)]).to.deep.equal([200])
    expect(peak).to.be.within(1, MAX_RSS)
    await untilOnlyAvatar()
  })

  /** Returns the highest memory that was measured until some work ended, in bytes. */
  async function memoryUntil(work: Promise<unknown>): Promise<number> {
    const ending = new AbortController()
    const end = work.finally(() => ending.abort())
    let peak = 0
    while (!ending.signal.aborted) peak = Math.max(peak, await memory())
    await end
    return peak
  }

  /** Returns the memory of the largest process, in bytes. */
  const memory = async () =>
    Math.max(
      ...(await system.scrape()).map((text) =>
        Number(/^process_resident_memory_bytes\S* (\S+)$/m.exec(text)?.[1]),
      ),
    )

  /** Waits until the only file is that of the row; a write may still run after its client has left. */
  async function untilOnlyAvatar(): Promise<void> {
    await until(async () => {
      const { rows } = await system.sql.query<{ file: string }>(
        'select file from medias_useravatar where user_id = 1',
      )
      return JSON.stringify(rows.map(({ file }) => file)) === JSON.stringify(await media.list())
    })
  }
})

/** Returns the settings of the memory allocator in the image of the API. */
async function readAllocatorSettings(): Promise<Record<string, string>> {
  const dockerfile = await readFile(DOCKERFILE, 'utf8')
  const [, settings = ''] = /^ENV (MALLOC_.+)$/m.exec(dockerfile) ?? []
  return Object.fromEntries(settings.split(' ').map((setting) => setting.split('=')))
}

async function headersOf(userId: string) {
  const token = await createSessions([SYSTEM_SECRET]).issue(userId, `hash-${userId}`)
  return sessionHeaders(token)
}

/** Sends an upload. Returns the status, or null if there was no answer. */
const send = (
  { apis: [api] }: System,
  headers: Readonly<Record<string, string>>,
  { type, body, length, sent }: Upload,
): Promise<number | null> =>
  new Promise((resolve) => {
    const outgoing = request(`${api}/api/v1/users/1/profile`, {
      method: 'PUT',
      headers: {
        ...headers,
        'Content-Type': type,
        ...(length !== undefined && { 'Content-Length': length }),
      },
    })
    outgoing.on('response', (res) => {
      res.resume()
      res.on('end', () => {
        resolve(res.statusCode ?? null)
        outgoing.destroy()
      })
      res.on('error', () => resolve(null))
    })
    outgoing.on('error', () => resolve(null))
    outgoing.on('close', () => resolve(null))
    const part = body.subarray(0, Math.min(sent, length ?? Infinity))
    outgoing.write(part, () => {
      if (part.length === (length ?? body.length)) outgoing.end()
      // The client leaves in the middle.
      else outgoing.destroy()
    })
  })
