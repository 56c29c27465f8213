import type { Readable } from 'node:stream'

/** The bytes of a file from `start` to `end`, both included. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** A file that has been opened for reading. It must be disposed. */
export interface StoredFile extends AsyncDisposable {
  readonly size: number
  /** Strong entity tag: another content has another tag. */
  readonly etag: string
  readonly modifiedAt: Date
  /** Reads the file, or a part of it. May be called once. */
  read(range?: ByteRange): Promise<Readable>
}

/** Where uploaded files are kept. Paths are those of the database, such as `user_avatars/5.jpg`. */
export interface FileStorage {
  /** Returns a file; null if it does not exist. */
  open(path: string): Promise<StoredFile | null>
  /** Stores a new file durably. Fails if the path exists. */
  write(path: string, bytes: Buffer): Promise<void>
  /** Removes a file, if it exists. */
  remove(path: string): Promise<void>
}
