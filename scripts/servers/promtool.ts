import { join } from 'node:path'
import { type PackagedProgram, unpackProgram } from './packaged-program.ts'
import { findProgram } from './path-search.ts'
import type { Print } from './print.ts'

export interface PromtoolOptions {
  readonly stateDir: string
  readonly env: NodeJS.ProcessEnv
  readonly print: Print
}

/** Finds promtool on PATH, or unpacks the distribution's package. */
export async function findPromtool({
  stateDir,
  env,
  print,
}: PromtoolOptions): Promise<PackagedProgram> {
  const command = findProgram(['promtool'], env.PATH)
  if (command) return { command, env: {} }
  return unpackProgram({
    stateDir,
    name: 'promtool',
    packages: ['prometheus'],
    isStatic: true,
    candidates: async (folder) => [join(folder, 'usr/bin/promtool')],
    env,
    print,
  })
}
