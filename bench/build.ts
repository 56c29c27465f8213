import { join } from 'node:path'
import { copyData } from '../scripts/copy-data.ts'
import { root, stateDir } from '../scripts/paths.ts'
import { run } from '../scripts/servers/run.ts'

/** Returns the path of a compiled source file. */
export const built = (source: string): string => join(compiled, source.replace(/\.ts$/, '.js'))

const compiled = join(stateDir, 'bench/build')

/** Compiles the measured code as for production, because a TypeScript loader would slow it down. */
export async function build(): Promise<void> {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  await run(process.execPath, [tsc, '-p', join(root, 'bench/tsconfig.json')], { cwd: root }).catch(
    (error: { readonly stdout?: string }) => {
      throw new Error(`tsc -p bench/tsconfig.json failed:\n${error.stdout ?? 'no output'}`)
    },
  )
  await copyData(compiled)
}
