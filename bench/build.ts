import { join } from 'node:path'
import { copyData } from '../scripts/copy-data.ts'
import { root, stateDir } from '../scripts/paths.ts'
import { run } from '../scripts/servers/run.ts'

/** The compiled form of a source file. */
export const built = (source: string): string => join(compiled, source.replace(/\.ts$/, '.js'))

const compiled = join(stateDir, 'bench/build')

/** Compiles what is measured, as production runs it: a loader of TypeScript costs on every call. */
export async function build(): Promise<void> {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  await run(process.execPath, [tsc, '-p', join(root, 'bench/tsconfig.json')], { cwd: root }).catch(
    (error: { readonly stdout?: string }) => {
      throw new Error(`what is to be measured does not compile:\n${error.stdout ?? 'no output'}`)
    },
  )
  await copyData(compiled)
}
