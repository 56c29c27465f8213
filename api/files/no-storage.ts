import type { FileStorage } from './storage.ts'

/** A storage without files, into which nothing can be written. */
export const noStorage: FileStorage = {
  open: async () => null,
  write: async () => {
    throw new Error('no storage for files is configured')
  },
  remove: async () => {},
}
