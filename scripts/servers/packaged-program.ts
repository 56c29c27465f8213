import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { findProgram } from './path-search.ts'
import { run } from './run.ts'
import type { Print } from './print.ts'

/** A program outside the system's folders, and the environment variables that locate its libraries. */
export interface PackagedProgram {
  readonly command: string
  readonly env: NodeJS.ProcessEnv
}

export interface PackagedProgramOptions {
  readonly stateDir: string
  /** Its name, and the folder below `stateDir` that it is unpacked into. */
  readonly name: string
  readonly packages: readonly string[]
  /** True if it needs no dependencies of its packages. */
  readonly isStatic?: boolean
  /** Possible paths below the folder; the first one that runs is used. */
  readonly candidates: (folder: string) => Promise<readonly string[]>
  readonly env: NodeJS.ProcessEnv
  readonly print: Print
}

/**
 * Downloads and unpacks packages of the distribution, without root and without installing them. apt
 * writes to `stateDir` only, and reads the system's state to skip libraries that are installed.
 */
export async function unpackProgram(options: PackagedProgramOptions): Promise<PackagedProgram> {
  const { stateDir, name, env, print } = options
  const folder = join(stateDir, name)
  const unpacked = await findIn(folder, options)
  if (unpacked) return unpacked

  // The PATH of an ordinary user may lack the folders of the system's tools.
  const tools = { ...env, PATH: `${env.PATH ?? ''}:/usr/bin:/bin:/usr/sbin:/sbin`, LC_ALL: 'C' }
  if (!findProgram(['apt-get'], tools.PATH)) throw new Error('apt-get was not found')
  print(`no ${name} on PATH: unpacking the distribution's package into ${folder} (not installed)`)

  await mkdir(stateDir, { recursive: true })
  const fresh = await mkdtemp(`${folder}-`)
  try {
    const archives = await download(join(fresh, 'apt'), options, tools)
    const root = join(fresh, 'root')
    for (const archive of archives) {
      await run('dpkg-deb', ['--extract', archive, root], { env: tools })
    }
    await rm(folder, { recursive: true, force: true })
    await rename(root, folder)
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }

  const found = await findIn(folder, options)
  if (!found) throw new Error(`the unpacked ${name} does not run`)
  return found
}

async function download(
  folder: string,
  { packages, isStatic = false }: PackagedProgramOptions,
  env: NodeJS.ProcessEnv,
): Promise<string[]> {
  const [state, cache] = [join(folder, 'state'), join(folder, 'cache')]
  const archives = join(cache, 'archives')
  await mkdir(join(state, 'lists/partial'), { recursive: true })
  await mkdir(join(archives, 'partial'), { recursive: true })
  const options = [
    `Dir::State=${state}`,
    'Dir::State::status=/var/lib/dpkg/status',
    `Dir::Cache=${cache}`,
    `Dir::Log=${folder}`,
    'Debug::NoLocking=true',
    'Acquire::Languages=none',
    // By default, apt as root downloads as a user that cannot enter these folders.
    ...(process.getuid?.() === 0 ? ['APT::Sandbox::User=root'] : []),
  ].flatMap((option) => ['-o', option])

  await run('apt-get', [...options, '--quiet', '--quiet', 'update'], { env })
  const fetch = isStatic
    ? ['download']
    : ['install', '--download-only', '--reinstall', '--no-install-recommends', '--yes']
  // `download` writes to the current folder.
  await run('apt-get', [...options, '--quiet', ...fetch, ...packages], { cwd: archives, env })
  const names = (await readdir(archives)).filter((name) => name.endsWith('.deb'))
  // apt-get may exit with 0 although it has downloaded nothing.
  if (names.length === 0) throw new Error(`apt-get downloaded nothing for ${packages.join(', ')}`)
  return names.map((name) => join(archives, name))
}

async function findIn(
  folder: string,
  { candidates, env }: PackagedProgramOptions,
): Promise<PackagedProgram | undefined> {
  const libraries = { LD_LIBRARY_PATH: (await findLibraryFolders(folder)).join(':') }
  for (const command of await candidates(folder)) {
    if (await starts(command, { ...env, ...libraries })) return { command, env: libraries }
  }
  return undefined
}

/** Returns whether the program loads with all its libraries. Some print their version and exit with an error. */
async function starts(command: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  return run(command, ['--version'], { env }).then(
    () => true,
    ({ code }: { readonly code?: unknown }) => typeof code === 'number' && code !== NOT_LOADED,
  )
}

const NOT_LOADED = 127

/** Returns `usr/lib` and `lib`, and their folders of an architecture, such as `x86_64-linux-gnu`. */
async function findLibraryFolders(folder: string): Promise<string[]> {
  const lists = ['usr/lib', 'lib'].map(async (name) => {
    const path = join(folder, name)
    const found = await readdir(path).catch(() => [])
    return [path, ...found.filter((it) => it.includes('-linux-')).map((it) => join(path, it))]
  })
  return (await Promise.all(lists)).flat()
}
