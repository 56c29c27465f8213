import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readlink, symlink } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { sql } from 'kysely'
import { startTestApi, type TestApi } from '../routes/test-api.ts'
import { until } from '../support/until.ts'
import { createMediaRoot, type MediaRoot } from './media.ts'

const [LEA, MEL, SUE, OUT, OLD] = [1, 2, 3, 4, 5]
const BYTES = Buffer.from(Array.from({ length: 1_000 }, (_, i) => i % 251))

/** Avatars of a visible, a hidden and an inactive user; a photo on a public page and another one. */
const FILES = {
  visible: 'user_avatars/lea.jpg',
  hidden: 'user_avatars/mel.png',
  inactive: 'user_avatars/old.png',
  photo: 'projects/public.webp',
  otherPhoto: 'projects/205.png',
  areaPhoto: 'business_areas/32.png',
  agency: 'agencies/dbca.jpg',
  pdf: 'project_documents/57.pdf',
} as const

describe('GET /files/:path', () => {
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
    await sql`delete from medias_agencyimage`.execute(api.db)
    await api.reset()
    await media.clear()
    await sql
      .raw(
        `
        insert into users_publicstaffprofile
          (id, created_at, updated_at, user_id, is_hidden, about, expertise, public_email_on, custom_title_on)
        values (991, now(), now(), 5, false, '', '', false, false);
        insert into medias_useravatar (id, created_at, updated_at, user_id, file, size) values
          (992, now(), now(), 1, '${FILES.visible}', 1000), (993, now(), now(), 5, '${FILES.inactive}', 1000);
        insert into medias_projectphoto (id, created_at, updated_at, file, size, project_id)
        values (994, now(), now(), '${FILES.photo}', 1000, 51);
        insert into medias_agencyimage (id, created_at, updated_at, file, size, agency_id)
        values (995, now(), now(), '${FILES.agency}', 1000, 11);`,
      )
      .execute(api.db)
    for (const path of Object.values(FILES)) await media.put(path, BYTES)
  })

  const get = (
    path: string,
    { as, headers }: { as?: number; headers?: Record<string, string> } = {},
  ) => api.send('GET', `/files/${path}`, { ...(as && { as }), ...(headers && { headers }) })
  const statusOf = async (path: string, as?: number) =>
    (await get(path, as === undefined ? {} : { as })).status

  it('shows files of public pages to everyone, and the others only to users', async () => {
    const seen: Record<string, boolean> = {}
    for (const [name, path] of Object.entries(FILES)) {
      seen[name] = (await statusOf(path)) === 200
      expect(await statusOf(path, OUT), name).to.equal(200)
    }
    expect(seen).to.deep.equal({
      visible: true,
      hidden: false,
      inactive: false,
      photo: true,
      otherPhoto: false,
      areaPhoto: true,
      agency: false,
      pdf: false,
    })
  })

  it('follows the profile: hidden, deactivated, and visible again', async () => {
    for (const [change, wanted] of [
      ['update users_publicstaffprofile set is_hidden = true where user_id = 1', 404],
      ['update users_publicstaffprofile set is_hidden = false where user_id = 1', 200],
      ['update users_user set is_active = false where id = 1', 404],
    ] as const) {
      await sql.raw(change).execute(api.db)
      for (const path of [FILES.visible, FILES.photo]) {
        expect(await statusOf(path), `${change}: ${path}`).to.equal(wanted)
      }
    }
  })

  it('hides the photo of a project that its only member with a page has hidden there', async () => {
    await sql`update projects_project set hidden_from_staff_profiles = '{1}' where id = 51`.execute(
      api.db,
    )
    expect(await statusOf(FILES.photo)).to.equal(404)
    expect(await statusOf(FILES.photo, MEL)).to.equal(200)
  })

  it('counts the session of an inactive user as none', async () => {
    expect(await statusOf(FILES.pdf, OLD)).to.equal(404)
    expect(await statusOf(FILES.visible, OLD)).to.equal(200)
  })

  it('shows an avatar that was changed by SQL at the next request', async () => {
    await media.put('user_avatars/by-sql.png', 'new')
    expect(await statusOf('user_avatars/by-sql.png', SUE)).to.equal(404)
    await sql`update medias_useravatar set file = 'user_avatars/by-sql.png' where user_id = 1`.execute(
      api.db,
    )
    expect((await get('user_avatars/by-sql.png')).bytes.toString()).to.equal('new')
    expect(await statusOf(FILES.visible, SUE)).to.equal(404)
  })

  it('sends type, length, tag and protective headers', async () => {
    const { status, headers, bytes } = await get(FILES.visible)
    expect(status).to.equal(200)
    expect(bytes.equals(BYTES)).to.equal(true)
    expect(headers).to.include({
      'content-type': 'image/jpeg',
      'content-length': '1000',
      'accept-ranges': 'bytes',
      'cache-control': 'public, max-age=0, s-maxage=0, must-revalidate',
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-site',
    })
    expect(headers['content-security-policy']).to.include("default-src 'none'")
    expect(headers['etag']).to.match(/^"[\w-]+"$/)
    expect(headers['vary']).to.include('Cookie')
    const pdf = await get(FILES.pdf, { as: OUT })
    expect(pdf.headers).to.include({
      'content-type': 'application/pdf',
      'cache-control': 'private, no-cache',
    })
  })

  it('answers 304 for the tag, and another tag after a change', async () => {
    const { headers } = await get(FILES.visible)
    const ifNoneMatch = { headers: { 'If-None-Match': String(headers['etag']) } }
    const same = await get(FILES.visible, ifNoneMatch)
    expect(same.status).to.equal(304)
    expect(same.bytes).to.have.length(0)
    expect(same.headers).to.include({ etag: headers['etag'] })
    await media.put(FILES.visible, 'changed')
    expect((await get(FILES.visible, ifNoneMatch)).status).to.equal(200)
  })

  it('answers HEAD with the headers only', async () => {
    const { status, headers, bytes } = await api.send('HEAD', `/files/${FILES.visible}`)
    expect(status).to.equal(200)
    expect(headers).to.include({ 'content-length': '1000' })
    expect(bytes).to.have.length(0)
  })

  for (const [range, status, from, to] of [
    ['bytes=0-9', 206, 0, 9],
    ['bytes=990-', 206, 990, 999],
    ['bytes=-5', 206, 995, 999],
    ['bytes=500-5000', 206, 500, 999],
    ['bytes=5-1', 416, 0, -1],
    ['bytes=1000-', 416, 0, -1],
    ['bytes=0-1,5-6', 200, 0, 999],
    ['lines=0-1', 200, 0, 999],
    ['nonsense', 200, 0, 999],
  ] as const) {
    it(`answers ${status} to Range: ${range}`, async () => {
      const answer = await get(FILES.visible, { headers: { Range: range } })
      expect(answer.status).to.equal(status)
      if (status === 416) {
        expect(answer.headers).to.include({ 'content-range': 'bytes */1000' })
        expect(answer.body).to.include({ status: 416 })
        return
      }
      expect(answer.bytes.equals(BYTES.subarray(from, to + 1))).to.equal(true)
      const wanted = status === 206 ? `bytes ${from}-${to}/1000` : undefined
      expect(answer.headers['content-range']).to.equal(wanted)
    })
  }

  it('sends the whole file if If-Range names another version', async () => {
    const { headers } = await get(FILES.visible)
    for (const [version, wanted] of [
      [String(headers['etag']), 206],
      [String(headers['last-modified']), 206],
      ['"other"', 200],
    ] as const) {
      const { status } = await get(FILES.visible, {
        headers: { Range: 'bytes=0-1', 'If-Range': version },
      })
      expect(status, version).to.equal(wanted)
    }
  })

  it('answers 404 for files without a row, and rows without a file', async () => {
    await media.put('user_avatars/nobody.jpg', 'secret')
    expect(await statusOf('user_avatars/nobody.jpg', SUE)).to.equal(404)
    expect(await statusOf('methodology_images/1.jpg', SUE)).to.equal(404)
    await media.clear()
    expect(await statusOf(FILES.visible)).to.equal(404)
  })

  it('answers 404 for paths that lead out of the root, even if a row contains them', async () => {
    await media.put('secret.jpg', 'secret')
    await symlink('/etc', join(media.path, 'etc'))
    await symlink('/etc/hostname', join(media.path, 'link.jpg'))
    await promisify(execFile)('mkfifo', [join(media.path, 'pipe.jpg')])
    await media.put('.hidden/a.jpg', 'secret')
    await media.put('folder.jpg/a.jpg', 'secret')
    for (const path of [
      '../secret.jpg',
      'user_avatars/../secret.jpg',
      '/etc/hostname.jpg',
      'etc/hostname.jpg',
      'link.jpg',
      'pipe.jpg',
      '.hidden/a.jpg',
      'folder.jpg',
      'user_avatars\\a.jpg',
      './secret.jpg',
      'user_avatars//lea.jpg',
    ]) {
      await sql`update medias_useravatar set file = ${path} where user_id = 1`.execute(api.db)
      const encoded = encodeURIComponent(path)
      for (const asked of [path, encoded, encoded.replaceAll('.', '%2e')]) {
        expect(await statusOf(asked, SUE), asked).to.equal(404)
      }
    }
    expect(await statusOf('%00', SUE)).to.equal(404)
    expect(await statusOf('%', SUE)).to.equal(400)
  })

  /** Sends two requests on one connection, and returns all that was received. */
  async function sendTwice(path: string): Promise<string> {
    const { port } = await api.connect(SUE)
    const socket = connect(port)
    const head = (more: string) => `GET /files/${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`
    socket.write(head('') + head('Connection: close\r\n'))
    return text(socket)
  }

  for (const [change, size, answers] of [
    ['grows', 1_500, 2],
    ['shrinks', 500, 1],
  ] as const) {
    it(`never mixes the bytes of two responses if a file ${change} after it was opened`, async () => {
      const { open } = media.storage
      Object.assign(media.storage, {
        async open(path: string) {
          const file = await open(path)
          await media.put(FILES.visible, Buffer.alloc(size, 'x'))
          return file
        },
      })
      try {
        const received = await sendTwice(FILES.visible)
        const found = received.match(/HTTP\/1\.1 200/g)?.length ?? 0
        const [first = ''] = received.split(/(?<!^)HTTP\/1\.1/)
        const { length } = first.split('\r\n\r\n')[1] ?? ''
        // A connection that is closed may lose what it has not sent yet.
        const isClosed = answers === 1
        expect(found).to.be.within(isClosed ? 0 : answers, answers)
        expect(length).to.be.within(isClosed ? 0 : 1_000, Math.min(size, 1_000))
      } finally {
        Object.assign(media.storage, { open })
      }
    })
  }

  it('closes the files of clients that leave', async () => {
    await media.put(FILES.visible, Buffer.alloc(20_000_000))
    const { port } = await api.connect(SUE)
    for (let i = 0; i < 3; i++) {
      const socket = connect(port)
      socket.write(`GET /files/${FILES.visible} HTTP/1.1\r\nHost: x\r\n\r\n`)
      await once(socket, 'data')
      expect(await openFiles()).to.be.above(0)
      socket.destroy()
      await until(async () => (await openFiles()) === 0)
    }
  })

  it('opens no file for a request that waits for the previous response of its connection', async () => {
    await media.put(FILES.visible, Buffer.alloc(20_000_000))
    const { port } = await api.connect(SUE)
    const socket = connect(port)
    socket.write(`GET /files/${FILES.visible} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(3))
    await once(socket, 'data')
    socket.pause()
    // Each of these goes all the way that the requests of the other connection would go.
    for (let i = 0; i < 3; i++) expect(await statusOf(FILES.photo)).to.equal(200)
    await until(async () => (await openFiles()) === 1)
    socket.destroy()
    await until(async () => (await openFiles()) === 0)
  })

  /** Returns how many files below the media root this process has open. */
  async function openFiles(): Promise<number> {
    const names = await readdir('/proc/self/fd')
    const links = await Promise.all(
      names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')),
    )
    return links.filter((link) => link.startsWith(media.path)).length
  }

  it('never serves SVG and HTML, even if a row refers to them', async () => {
    for (const path of ['user_avatars/a.svg', 'user_avatars/a.html', 'user_avatars/a']) {
      await media.put(path, '<svg onload="alert(1)"/>')
      await sql`update medias_useravatar set file = ${path} where user_id = 1`.execute(api.db)
      expect(await statusOf(path, SUE), path).to.equal(404)
    }
  })

  it('rejects an invalid path and other methods', async () => {
    expect(await statusOf('', SUE)).to.equal(404)
    for (const method of ['POST', 'PUT', 'DELETE']) {
      const { status } = await api.send(method, `/files/${FILES.visible}`, { as: SUE })
      expect(status).to.equal(405)
    }
  })

  describe('deletion of rows', () => {
    for (const [path, gone, kept] of [
      ['users/2', FILES.hidden, FILES.visible],
      ['projects/51', FILES.photo, FILES.otherPhoto],
      ['projects/51', FILES.pdf, FILES.otherPhoto],
      ['agencies/business_areas/32', FILES.areaPhoto, FILES.otherPhoto],
    ] as const) {
      it(`removes ${gone} after DELETE ${path}`, async () => {
        const { status } = await api.send('DELETE', path, { as: SUE })
        expect(status).to.equal(204)
        expect(await media.list())
          .to.include(kept)
          .and.not.include(gone)
      })
    }

    it('removes the other files if one cannot be removed', async () => {
      const { remove } = media.storage
      let removals = 0
      Object.assign(media.storage, {
        remove: (path: string) =>
          removals++ === 0 ? Promise.reject(new Error('busy')) : remove(path),
      })
      try {
        expect((await api.send('DELETE', 'projects/51', { as: SUE })).status).to.equal(204)
        const left = await media.list()
        expect([FILES.photo, FILES.pdf].filter((path) => left.includes(path))).to.have.length(1)
      } finally {
        Object.assign(media.storage, { remove })
      }
    })

    it('removes the avatar of a user that was merged into another one', async () => {
      const body = { primaryUser: LEA, secondaryUsers: [MEL] }
      const { status } = await api.send('POST', 'adminoptions/mergeusers', { as: SUE, body })
      expect(status).to.equal(200)
      expect(await media.list())
        .to.include(FILES.visible)
        .and.not.include(FILES.hidden)
    })
  })
})
