import { cp, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { root } from './paths.ts'

/** Folders and name endings of files that are read at run time. */
const DATA = [
  ['db', '.sql'],
  ['api', '.txt.gz'],
  ['api', '.LICENSE'],
] as const

/** Copies the files that are read at run time into the folder of the compiled code. */
export async function copyData(compiled: string): Promise<void> {
  for (const [folder, ending] of DATA) {
    for (const name of await readdir(join(root, folder), { recursive: true })) {
      if (name.endsWith(ending)) await cp(join(root, folder, name), join(compiled, folder, name))
    }
  }
}
