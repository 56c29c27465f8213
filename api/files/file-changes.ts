import type { Kysely } from 'kysely'
import type { Logger } from 'winston'
import { findReferencedPaths } from '../../db/queries/file-references.ts'
import type { Database } from '../../db/schema.ts'
import { PublicError } from '../../shared/errors.ts'
import { createLimiter } from '../../shared/limiter.ts'
import { reencode } from './image.ts'
import type { FileStorage } from './storage.ts'
import { createPath, isStoredPath } from './stored-path.ts'

/** A new file, as its row describes it. */
export interface NewFile {
  readonly file: string
  /** In bytes. */
  readonly size: number
}

/**
 * The files that one write adds and replaces. A file is written before the row that refers to it is
 * committed, and removed after the transaction if no row refers to it.
 */
export interface FileChanges {
  /**
   * Stores an uploaded image below a folder.
   * @throws PublicError `invalid` if it is not an image; `unavailable` if it cannot be stored now.
   */
  addImage(folder: string, upload: Buffer): Promise<NewFile>
  /** Marks files to be removed if the transaction deletes the last rows that refer to them. */
  discard(paths: readonly string[]): void
  /** Removes files without a row. Call it after the transaction, whether it was committed or not. */
  settle(): Promise<void>
}

export interface FileChangesOptions {
  readonly storage: FileStorage
  readonly db: Kysely<Database>
  readonly logger: Logger
}

/** Images that wait to be decoded. */
const QUEUE = 8

/** Returns a function that begins the file changes of a write. */
export function createFileChanges({ storage, db, logger }: FileChangesOptions): () => FileChanges {
  // One at a time, since decoding takes up to 130 MiB.
  const decode = createLimiter(
    1,
    QUEUE,
    () => new PublicError('unavailable', 'The server is busy.', { retryAfterS: 1 }),
  )

  async function removeUnreferenced(paths: readonly string[]): Promise<void> {
    // Asks the database instead of assuming the outcome: a commit may succeed although its answer was lost.
    const referenced = new Set(await findReferencedPaths(db, paths))
    for (const path of paths) {
      if (referenced.has(path)) continue
      await storage.remove(path).catch((error: unknown) => {
        logger.warn('could not remove a file without a row', { path, error })
      })
    }
  }

  return () => {
    const touched = new Set<string>()
    return {
      async addImage(folder, upload) {
        const { extension, bytes } = await decode(() => reencode(upload))
        const file = createPath(folder, extension)
        touched.add(file)
        try {
          await storage.write(file, bytes)
        } catch (error) {
          logger.error('could not store an uploaded file', { path: file, error })
          throw new PublicError('unavailable', 'Files cannot be stored now.', {
            retryAfterS: 1,
            cause: error,
          })
        }
        return { file, size: bytes.length }
      },

      discard(paths) {
        for (const path of paths) if (isStoredPath(path)) touched.add(path)
      },

      async settle() {
        if (touched.size === 0) return
        await removeUnreferenced([...touched]).catch((error: unknown) => {
          logger.warn('could not find which files have no row', { paths: [...touched], error })
        })
      },
    }
  }
}
