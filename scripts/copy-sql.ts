import { cp, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { root } from './paths.ts'

/** Puts the SQL that is read at run time beside what was compiled. */
export async function copySql(compiled: string): Promise<void> {
  for (const name of await readdir(join(root, 'db'), { recursive: true })) {
    if (name.endsWith('.sql')) await cp(join(root, 'db', name), join(compiled, 'db', name))
  }
}
