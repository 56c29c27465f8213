import { constants } from 'node:fs'
import { mkdir, open, realpath, unlink } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { errorCode } from '../../db/event-log/index.ts'
import type { FileStorage } from './storage.ts'
import { isStoredPath } from './stored-path.ts'

/** Error codes that mean that a path leads to no file. */
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EISDIR', 'ENXIO', 'ENAMETOOLONG'])

/** Readable by all, as the files of Django are: a web server may run as another user. */
const MODE = 0o644

/** Keeps files in a directory, such as the media root of a Django application. */
export function createDirectoryStorage(root: string): FileStorage {
  const pathOf = (path: string): string => {
    if (!isStoredPath(path)) throw new Error('not a path of a stored file')
    return join(root, path)
  }

  return {
    async open(path) {
      const handle = await openBelow(root, pathOf(path)).catch((error: unknown) => {
        if (ABSENT.has(errorCode(error) ?? '')) return null
        throw error
      })
      if (handle === null) return null
      const { size, mtimeNs } = await handle.stat({ bigint: true })
      return {
        size: Number(size),
        etag: `"${size.toString(36)}-${mtimeNs.toString(36)}"`,
        modifiedAt: new Date(Number(mtimeNs / 1_000_000n)),
        read: async (range) => handle.createReadStream({ ...range, autoClose: false }),
        [Symbol.asyncDispose]: () => handle.close(),
      }
    },

    async write(path, bytes) {
      const file = pathOf(path)
      await mkdir(dirname(file), { recursive: true })
      await requireBelow(root, dirname(file))
      const handle = await open(file, 'wx', MODE)
      try {
        await handle.writeFile(bytes)
        // The row that refers to the file survives a crash, so the file must too.
        await handle.sync()
      } catch (error) {
        await unlink(file).catch(() => {})
        throw error
      } finally {
        await handle.close()
      }
    },

    async remove(path) {
      const file = pathOf(path)
      try {
        await requireBelow(root, dirname(file))
        await unlink(file)
      } catch (error) {
        if (!ABSENT.has(errorCode(error) ?? '')) throw error
      }
    },
  }
}

/** Links of folders may not lead out of the root. */
async function requireBelow(root: string, folder: string): Promise<void> {
  const [base, real] = await Promise.all([realpath(root), realpath(folder)])
  if (real !== base && !real.startsWith(`${base}${sep}`)) {
    throw new Error('the folder is a link that leads out of the media root')
  }
}

/** Opens a regular file; null for anything else. Links may not lead out of the root. */
async function openBelow(root: string, path: string) {
  const real = await realpath(path)
  if (!real.startsWith(`${await realpath(root)}${sep}`)) return null
  // Without O_NONBLOCK, opening a named pipe waits for a writer.
  const handle = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  if ((await handle.stat()).isFile()) return handle
  await handle.close()
  return null
}
