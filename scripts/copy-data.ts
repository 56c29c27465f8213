import { cp, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { root } from './paths.ts'

/** Folders and name endings of files that are read at run time. */
const DATA = [
  ['db', '.sql'],
  ['api', '.txt.gz'],
  ['api', '.LICENSE'],
  ['invalidator/console/dist', ''],
] as const

/** Copies the files that are read at run time into the folder of the compiled code. */
export async function copyData(compiled: string): Promise<void> {
  for (const [folder, ending] of DATA) {
    // The page of the console may not have been built yet.
    const names = await readdir(join(root, folder), { recursive: true }).catch(() => [])
    for (const name of names) {
      if (/\.\w+$/.test(name) && name.endsWith(ending))
        await cp(join(root, folder, name), join(compiled, folder, name))
    }
  }
}
