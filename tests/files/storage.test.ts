import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createAzureStorage } from '../../api/files/azure.ts'
import { noStorage } from '../../api/files/no-storage.ts'
import { openStorage } from '../../api/files/open-storage.ts'
import { ConfigurationError } from '../../shared/errors.ts'
import type { ByteRange, FileStorage } from '../../api/files/storage.ts'
import { startTestApi, type TestApi } from '../routes/test-api.ts'
import { type Azurite, startAzurite } from './azurite.ts'
import {
  createMediaRoot,
  draw,
  FORM_TYPE,
  formOf,
  type MediaRoot,
  pixelsOf,
  pngOf,
} from './media.ts'

const PATH = 'user_avatars/1.png'
const BYTES = Buffer.from(Array.from({ length: 500 }, (_, i) => i % 256))

describe('storage of files', function () {
  this.timeout(60_000)
  let azurite: Azurite
  let media: MediaRoot
  let api: TestApi
  /** The storage of the API. */
  const used = { ...noStorage }
  let containers = 0

  before(async () => {
    azurite = await startAzurite()
    media = await createMediaRoot()
    api = await startTestApi({ storage: used })
  })
  /** Makes the API use a storage. */
  async function use(storage: FileStorage): Promise<void> {
    await api.reset()
    Object.assign(used, storage)
  }
  after(async () => {
    await api[Symbol.asyncDispose]()
    await azurite[Symbol.asyncDispose]()
    await media[Symbol.asyncDispose]()
  })

  const openers: Readonly<Record<string, () => Promise<FileStorage>>> = {
    'a directory': async () => {
      await media.clear()
      return media.storage
    },
    'Azure Blob Storage': async () =>
      createAzureStorage(await azurite.createContainer(`spms-${++containers}`)),
  }

  async function read(storage: FileStorage, path: string, range?: ByteRange) {
    await using file = await storage.open(path)
    return file && (await buffer(await file.read(range)))
  }

  for (const [name, open] of Object.entries(openers)) {
    describe(name, () => {
      let storage: FileStorage
      beforeEach(async () => {
        storage = await open()
      })

      it('returns what was written, with its size', async () => {
        await storage.write(PATH, BYTES)
        expect(await read(storage, PATH)).to.deep.equal(BYTES)
        await using file = await storage.open(PATH)
        expect(file).to.include({ size: 500 })
        expect(file?.etag).to.match(/^"[^"]+"$/)
        expect(Math.abs(Date.now() - Number(file?.modifiedAt))).to.be.below(60_000)
      })

      it('returns a range', async () => {
        await storage.write(PATH, BYTES)
        expect(await read(storage, PATH, { start: 10, end: 19 })).to.deep.equal(
          BYTES.subarray(10, 20),
        )
        expect(await read(storage, PATH, { start: 499, end: 499 })).to.deep.equal(
          BYTES.subarray(499),
        )
      })

      it('returns an empty file', async () => {
        await storage.write(PATH, Buffer.alloc(0))
        expect(await read(storage, PATH)).to.have.length(0)
      })

      it('rejects a second file at a path, and keeps the first', async () => {
        await storage.write(PATH, BYTES)
        const failed = await storage.write(PATH, Buffer.from('x')).then(
          () => false,
          () => true,
        )
        expect(failed).to.equal(true)
        expect(await read(storage, PATH)).to.deep.equal(BYTES)
      })

      it('returns null for a file that does not exist or was removed', async () => {
        expect(await storage.open(PATH)).to.equal(null)
        await storage.write(PATH, BYTES)
        await storage.remove(PATH)
        expect(await storage.open(PATH)).to.equal(null)
        await storage.remove(PATH)
      })

      it('rejects paths that lead out of it', async () => {
        for (const path of ['../x.png', 'a/../../x.png', '/x.png', '', '.x', 'a\\b', 'a\0b']) {
          for (const attempt of [
            () => storage.open(path),
            () => storage.remove(path),
            () => storage.write(path, BYTES),
          ]) {
            const failed = await attempt().then(
              () => false,
              () => true,
            )
            expect(failed, path).to.equal(true)
          }
        }
      })

      it('keeps an avatar that is uploaded, served and replaced over HTTP', async () => {
        await use(storage)
        const size = { width: 30, height: 20 }
        const upload = async () => {
          const { status } = await api.send('PUT', 'users/1/profile', {
            as: 1,
            body: formOf([{ name: 'image', content: await pngOf(size), filename: 'a.png' }]),
            headers: { 'Content-Type': FORM_TYPE },
          })
          expect(status).to.equal(200)
          const { body } = await api.send('GET', 'users/1', { as: 2 })
          return (body as { image: string }).image
        }
        const first = await upload()
        const { bytes, headers } = await api.send('GET', first)
        expect((await pixelsOf(bytes)).data.equals(draw(size))).to.equal(true)
        const part = await api.send('GET', first, { headers: { Range: 'bytes=1-3' } })
        expect(part.status).to.equal(206)
        expect(part.bytes.toString()).to.equal('PNG')
        const ifNoneMatch = { headers: { 'If-None-Match': String(headers['etag']) } }
        expect((await api.send('GET', first, ifNoneMatch)).status).to.equal(304)

        const second = await upload()
        expect(await storage.open(first.replace('/files/', ''))).to.equal(null)
        expect((await api.send('GET', second)).status).to.equal(200)
        expect((await api.send('DELETE', 'users/1/remove_avatar', { as: 1 })).status).to.equal(204)
        expect(await storage.open(second.replace('/files/', ''))).to.equal(null)
      })
    })
  }

  it('neither writes nor removes files behind links that lead out of a directory', async () => {
    await media.clear()
    await using outside = await createMediaRoot()
    await outside.put('kept.png', BYTES)
    await symlink(outside.path, join(media.path, 'out'))
    for (const attempt of [
      () => media.storage.remove('out/kept.png'),
      () => media.storage.write('out/new.png', BYTES),
    ]) {
      const failed = await attempt().then(
        () => false,
        () => true,
      )
      expect(failed).to.equal(true)
    }
    expect(await outside.list()).to.deep.equal(['kept.png'])
  })

  it('rejects an invalid connection string without repeating it', async () => {
    const azure = { connectionString: 'AccountName=spms;hunter2', container: 'files' }
    const error = await openStorage({ azure }).catch((thrown: unknown) => thrown)
    expect(error).to.be.instanceOf(ConfigurationError)
    expect(String(error)).to.include('AZURE_STORAGE_CONNECTION_STRING').and.not.include('hunter2')
  })

  it('answers 503 if a file cannot be read after it was found', async () => {
    await media.clear()
    await media.put(PATH, BYTES)
    const failing: FileStorage = {
      ...media.storage,
      async open(path) {
        const file = await media.storage.open(path)
        return file && { ...file, read: () => Promise.reject(new Error('the disk is gone')) }
      },
    }
    await use(failing)
    await sql`update medias_useravatar set file = ${PATH}`.execute(api.db)
    const { status, headers } = await api.send('GET', `/files/${PATH}`, { as: 1 })
    expect(status).to.equal(503)
    expect(headers).to.not.have.any.keys('etag', 'last-modified')
    expect(headers).to.include({ 'cache-control': 'no-store' })
  })

  it('answers 503 if files cannot be read or written, and leaves the row unchanged', async () => {
    const storage = createAzureStorage({
      ...(await azurite.createContainer('spms-gone')),
      container: 'spms-none',
    })
    await use(storage)
    const { status, headers } = await api.send('PUT', 'users/1/profile', {
      as: 1,
      body: formOf([
        { name: 'image', content: await pngOf({ width: 3, height: 3 }), filename: 'a.png' },
      ]),
      headers: { 'Content-Type': FORM_TYPE },
    })
    expect(status).to.equal(503)
    expect(headers).to.have.property('retry-after')
    const { body } = await api.send('GET', 'users/1', { as: 1 })
    expect(body).to.include({ image: null })
  })
})
