import { readdir, readFile } from 'node:fs/promises'

/**
 * Returns the text of a file below `/proc/<pid>`, or null if the process or thread has ended. It may
 * end at any moment, also after a listing named it, or between opening and reading its file.
 */
export const readProcFile = (path: string): Promise<string | null> =>
  readFile(path, 'utf8').catch(nullIfEnded)

/** Returns the names in a folder below `/proc/<pid>`, or null if the process has ended. */
export const listProcFolder = (path: string): Promise<string[] | null> =>
  readdir(path).catch(nullIfEnded)

/** The codes with which the kernel reports that a process or thread does not exist. */
const ENDED: readonly unknown[] = ['ENOENT', 'ESRCH']

function nullIfEnded(error: NodeJS.ErrnoException): null {
  if (ENDED.includes(error.code)) return null
  throw error
}
