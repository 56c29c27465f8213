import { deflateSync } from 'node:zlib'
import { expect } from 'chai'
import { sql } from 'kysely'
import sharp from 'sharp'
import { startTestApi, type TestApi } from '../routes/test-api.ts'
import {
  createMediaRoot,
  draw,
  FORM_TYPE,
  formOf,
  type FormPart,
  jpegOf,
  type MediaRoot,
  pixelsOf,
  pngOf,
} from './media.ts'

const [LEA, MEL, SUE, OUT, OLD] = [1, 2, 3, 4, 5]
const PICTURE = { width: 60, height: 40 }
const UPLOADED = /^user_avatars\/[\da-f-]{36}\.(jpg|png)$/

describe('PUT /users/:id/profile', () => {
  let api: TestApi
  let media: MediaRoot

  before(async () => {
    media = await createMediaRoot()
    api = await startTestApi({ madeByDjango: true, storage: media.storage })
  })
  after(async () => {
    await api[Symbol.asyncDispose]()
    await media[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    await api.reset()
    await media.clear()
  })

  const send = (parts: readonly FormPart[], { as = LEA, id = LEA } = {}) =>
    api.send('PUT', `users/${id}/profile`, {
      as,
      body: formOf(parts),
      headers: { 'Content-Type': FORM_TYPE },
    })
  const image = (content: Buffer | string, filename = 'me.png') => ({
    name: 'image',
    content,
    filename,
    type: 'image/png',
  })
  const avatarOf = async (user = LEA) =>
    api.db
      .selectFrom('medias_useravatar')
      .select(['file', 'size'])
      .where('user_id', '=', String(user))
      .executeTakeFirst()

  it('changes the texts from a form as from JSON [T26]', async () => {
    const { status, body } = await send([
      { name: 'userPk', content: '2' },
      { name: 'about', content: ' New text ' },
      { name: 'expertise', content: 'Ferns' },
    ])
    expect(status).to.equal(200)
    expect(body).to.deep.equal({ title: null, about: 'New text', expertise: 'Ferns' })
    const changed = { about: null, expertise: 'Moss' }
    const answer = await api.send('PUT', 'users/1/profile', { as: LEA, body: changed })
    expect(answer.body).to.deep.equal({ title: null, ...changed })
    expect(answer.headers['etag']).to.be.a('string')
  })

  it('stores an image under a generated name, and serves its pixels', async () => {
    const { status } = await send([image(await pngOf(PICTURE), '../../../etc/me.svg')])
    expect(status).to.equal(200)
    const avatar = await avatarOf()
    expect(avatar?.file).to.match(UPLOADED)
    expect(await media.list()).to.deep.equal([avatar?.file])

    const { body } = await api.send('GET', 'users/1', { as: MEL })
    expect(body).to.include({ image: `/files/${avatar?.file}` })
    const served = await api.send('GET', `/files/${avatar?.file}`, { as: MEL })
    expect(served.status).to.equal(200)
    expect(served.headers).to.include({ 'content-type': 'image/png' })
    expect(served.bytes.length).to.equal(avatar?.size)
    const { data, info } = await pixelsOf(served.bytes)
    expect(info).to.include(PICTURE)
    expect(data.equals(draw(PICTURE))).to.equal(true)
  })

  it('turns a JPEG upright, scales it down and removes its metadata', async () => {
    const photo = await sharp(draw({ width: 2_000, height: 1_000 }), {
      raw: { width: 2_000, height: 1_000, channels: 3 },
    })
      .jpeg({ quality: 60 })
      .withExif({ IFD0: { Copyright: 'secret place', Orientation: '6' } })
      .withMetadata({ orientation: 6 })
      .toBuffer()
    expect((await send([image(photo)])).status).to.equal(200)
    const { bytes } = await api.send('GET', `/files/${(await avatarOf())?.file}`, { as: LEA })
    const { width, height, exif, format } = await sharp(bytes).metadata()
    expect({ width, height, exif, format }).to.deep.equal({
      width: 800,
      height: 1_600,
      exif: undefined,
      format: 'jpeg',
    })
    expect(bytes.includes('secret place')).to.equal(false)
  })

  it('removes the replaced file after the commit', async () => {
    await send([image(await pngOf(PICTURE))])
    const first = await avatarOf()
    await send([image(await jpegOf(PICTURE))])
    const second = await avatarOf()
    expect(second?.file).to.match(UPLOADED).and.not.equal(first?.file)
    expect(await media.list()).to.deep.equal([second?.file])
  })

  it('keeps a replaced file to which another row refers', async () => {
    await send([image(await pngOf(PICTURE))])
    const first = await avatarOf()
    await sql`update medias_projectphoto set file = ${first?.file}`.execute(api.db)
    await send([image(await pngOf(PICTURE))])
    expect(await media.list()).to.have.members([first?.file, (await avatarOf())?.file])
  })

  it('removes the new file if the transaction is rolled back', async () => {
    await sql`
      create function reject_avatar() returns trigger language plpgsql as
        'begin raise exception ''rejected by the test''; end';
    `.execute(api.db)
    await sql`
      create constraint trigger reject_avatar after insert on medias_useravatar
        deferrable initially deferred for each row execute function reject_avatar()
    `.execute(api.db)
    try {
      expect((await send([image(await pngOf(PICTURE))])).status).to.equal(500)
      expect(await media.list()).to.deep.equal([])
      expect(await avatarOf()).to.equal(undefined)
    } finally {
      await sql`drop function reject_avatar cascade`.execute(api.db)
    }
  })

  it('removes the new file if another field is invalid', async () => {
    const about = { name: 'about', content: 'x'.repeat(10_001) }
    expect((await send([about, image(await pngOf(PICTURE))])).status).to.equal(400)
    expect(await media.list()).to.deep.equal([])
  })

  it('keeps the image if the field is the URL of an image, and never loads a URL', async () => {
    await send([image(await pngOf(PICTURE))])
    const before = await avatarOf()
    for (const url of [`/files/${before?.file}`, 'http://127.0.0.1:1/x.png', '']) {
      const { status } = await send([{ name: 'image', content: url }])
      expect(status).to.equal(200)
      expect((await api.send('PUT', 'users/1/profile', { as: LEA, body: { image: url } })).status) //
        .to.equal(200)
    }
    expect(await avatarOf()).to.deep.equal(before)
  })

  it('accepts the user and superusers only, and decides before it reads the image', async () => {
    for (const [as, wanted] of [
      [LEA, 200],
      [SUE, 200],
      [MEL, 403],
      [OUT, 403],
      [OLD, 401],
    ] as const) {
      expect((await send([image('no image')], { as })).status).to.equal(
        wanted === 200 ? 400 : wanted,
      )
      const { status } = await send([image(await pngOf(PICTURE))], { as })
      expect(status, `as ${as}`).to.equal(wanted)
    }
    const form = { body: formOf([]), headers: { 'Content-Type': FORM_TYPE } }
    expect((await api.send('PUT', 'users/1/profile', form)).status).to.equal(401)
    const forged = { ...form.headers, 'X-CSRFToken': '' }
    const { status } = await api.send('PUT', 'users/1/profile', {
      ...form,
      as: LEA,
      headers: forged,
    })
    expect(status).to.equal(403)
    expect(await media.list()).to.have.length(1)
  })

  it('decides again in the transaction of the write', async () => {
    // The first decision passes, then the user loses the rights.
    const upload = media.storage.write
    Object.assign(media.storage, {
      write: async (path: string, bytes: Buffer) => {
        await upload(path, bytes)
        await sql`update users_user set is_superuser = false where id = ${SUE}`.execute(api.db)
      },
    })
    try {
      const { status } = await send([image(await pngOf(PICTURE))], { as: SUE })
      expect(status).to.equal(403)
      expect(await media.list()).to.deep.equal([])
    } finally {
      Object.assign(media.storage, { write: upload })
    }
  })

  it('rejects users without a staff profile, and missing users, with 404 [T26]', async () => {
    const { status, body } = await send([image(await pngOf(PICTURE))], { as: SUE, id: OUT })
    expect(status).to.equal(404)
    expect(body).to.include({ error: 'User has no staff profile' })
    expect((await send([], { as: SUE, id: 999 })).status).to.equal(404)
    expect(await media.list()).to.deep.equal([])
  })

  it('rejects other content than JPEG and PNG with 400, under any name and type', async () => {
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect/></svg>'
    const gif = await sharp(draw(PICTURE), { raw: { ...PICTURE, channels: 3 } })
      .gif()
      .toBuffer()
    const webp = await sharp(draw(PICTURE), { raw: { ...PICTURE, channels: 3 } })
      .webp()
      .toBuffer()
    const png = await pngOf(PICTURE)
    for (const content of [
      svg,
      '<html><script>alert(1)</script></html>',
      '%PDF-1.7',
      gif,
      webp,
      png.subarray(0, 8),
      png.subarray(0, png.length / 2),
      Buffer.concat([png.subarray(0, 8), Buffer.from(svg)]),
      Buffer.concat([Buffer.from([0xff, 0xd8, 0xff]), Buffer.from(svg)]),
    ]) {
      const { status, body } = await send([image(content)])
      expect(status, String(content.slice(0, 30))).to.equal(400)
      expect(body).to.have.property('image')
    }
    expect(await media.list()).to.deep.equal([])
  })

  it('stores only the pixels of a polyglot', async () => {
    const script = '<html><script>alert(1)</script></html>'
    const polyglot = Buffer.concat([await jpegOf(PICTURE), Buffer.from(script)])
    expect((await send([image(polyglot)])).status).to.equal(200)
    const { bytes } = await api.send('GET', `/files/${(await avatarOf())?.file}`, { as: LEA })
    expect(bytes.includes('script')).to.equal(false)
  })

  it('rejects a decompression bomb with 400 without decoding it', async () => {
    const startedAt = performance.now()
    const { status } = await send([image(bomb(50_000, 50_000))])
    expect(status).to.equal(400)
    expect(performance.now() - startedAt).to.be.below(2_000)
    expect(await media.list()).to.deep.equal([])
  })

  it('rejects an image whose pixels take more than 64 MB, before it decodes them', async () => {
    const [width, height] = [4_100, 2_000]
    const pixels = Buffer.alloc(height * (1 + width * 8))
    const deep = pngFrom({ width, height, depth: 16, type: 6 }, deflateSync(pixels))
    expect((await send([image(deep)])).status).to.equal(400)
  })

  it('does not unpack the texts of a PNG', async () => {
    const text = Buffer.concat([Buffer.from('a\0\0'), deflateSync(Buffer.alloc(50_000_000))])
    const png = await pngOf(PICTURE)
    const afterHeader = 33
    const texts = Array.from({ length: 3 }, () => chunk('zTXt', text))
    const before = process.cpuUsage()
    const { status } = await send([
      image(Buffer.concat([png.subarray(0, afterHeader), ...texts, png.subarray(afterHeader)])),
    ])
    const { user, system } = process.cpuUsage(before)
    expect(status).to.equal(200)
    // Unpacking them takes more than 2 s.
    expect((user + system) / 1e6).to.be.below(1.8)
  })

  it('rejects thousands of fields before the parser, which would block the process for seconds', async () => {
    const parser: { formData: Response['formData'] } = Response.prototype
    const { formData } = parser
    let parsed = 0
    parser.formData = function (this: Response) {
      parsed++
      return formData.call(this)
    }
    try {
      const parts = Array.from({ length: 3_000 }, () => ({ name: 'a', filename: 'b', content: '' }))
      expect((await send(parts)).status).to.equal(400)
      expect(parsed).to.equal(0)
      expect((await send([{ name: 'about', content: 'parsed' }])).status).to.equal(200)
      expect(parsed).to.equal(1)
    } finally {
      parser.formData = formData
    }
  })

  it('rejects more than 300 fields, and fields with long headers', async () => {
    const parts = Array.from({ length: 300 }, (_, i) => ({ name: `field${i}`, content: 'x' }))
    expect((await send(parts)).status).to.equal(200)
    expect((await send([...parts, { name: 'about', content: 'x' }])).status).to.equal(400)
    expect((await send([{ name: 'x'.repeat(2_000), content: 'x' }])).status).to.equal(400)
  })

  it('rejects files and forms that are too large with 413', async () => {
    expect((await send([image(Buffer.alloc(200_001))])).status).to.equal(413)
    expect((await send([image(Buffer.alloc(1_000_000))])).status).to.equal(413)
    const about = { name: 'about', content: 'x'.repeat(400_001) }
    expect((await send([about])).status).to.equal(413)
    expect(await media.list()).to.deep.equal([])
  })

  it('rejects several files, malformed forms and other types', async () => {
    const png = await pngOf(PICTURE)
    expect((await send([image(png), image(png)])).status).to.equal(400)
    for (const [type, body, wanted] of [
      ['multipart/form-data', formOf([image(png)]), 400],
      [FORM_TYPE, 'no parts', 400],
      [FORM_TYPE, formOf([image(png)]).subarray(0, 200), 400],
      ['multipart/mixed; boundary=x', formOf([]), 415],
      ['text/plain', 'x', 415],
    ] as const) {
      const { status } = await api.send('PUT', 'users/1/profile', {
        as: LEA,
        body,
        headers: { 'Content-Type': type },
      })
      expect(status, type).to.equal(wanted)
    }
    expect(await media.list()).to.deep.equal([])
  })

  it('accepts no form on an endpoint without images', async () => {
    const { status } = await api.send('PUT', 'users/1/pi', {
      as: LEA,
      body: formOf([]),
      headers: { 'Content-Type': FORM_TYPE },
    })
    expect(status).to.equal(415)
  })

  describe('remove_avatar', () => {
    for (const method of ['POST', 'DELETE']) {
      it(`deletes the row and the file with ${method} [T28]`, async () => {
        await send([image(await pngOf(PICTURE))])
        await sql`
          update users_userprofile set image_id = (select id from medias_useravatar where user_id = ${LEA}) where id = 61
        `.execute(api.db)
        for (const [as, wanted] of [
          [MEL, 403],
          [LEA, 204],
          [LEA, 404],
        ] as const) {
          const { status } = await api.send(method, 'users/1/remove_avatar', { as })
          expect(status).to.equal(wanted)
        }
        expect(await avatarOf()).to.equal(undefined)
        expect(await media.list()).to.deep.equal([])
      })
    }
  })
})

/** Returns a PNG of one colour with one bit for each pixel: small as a file, large as pixels. */
const bomb = (width: number, height: number): Buffer =>
  pngFrom({ width, height, depth: 1, type: 0 }, deflateSync(Buffer.alloc(1_000_000)))

interface PngHeader {
  readonly width: number
  readonly height: number
  /** Bits of a sample. */
  readonly depth: number
  /** 0 is grey, 6 is colour with alpha. */
  readonly type: number
}

function pngFrom({ width, height, depth, type }: PngHeader, rows: Buffer): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([depth, type, 0, 0, 0], 8)
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', rows),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type), data])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(data.length)
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc(named))
  return Buffer.concat([length, named, sum])
}

function crc(bytes: Buffer): number {
  let sum = ~0
  for (const byte of bytes) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1
  }
  return ~sum >>> 0
}
