import { join } from 'node:path'
import { type PackagedProgram, unpackProgram } from './packaged-program.ts'
import type { Print } from './print.ts'

/** Unpacks the distribution's Redis. */
export const unpackRedis = (
  stateDir: string,
  env: NodeJS.ProcessEnv,
  print: Print,
): Promise<PackagedProgram> =>
  unpackProgram({
    stateDir,
    name: 'redis',
    packages: ['redis-server', 'redis-tools'],
    candidates: async (folder) => [join(folder, 'usr/bin/redis-server')],
    env,
    print,
  })
