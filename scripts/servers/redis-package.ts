import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { findProgram } from './path-search.ts'
import { run, succeeds } from './run.ts'
import type { Print } from './print.ts'

/** A Redis server outside the system's folders, and the environment variables that locate its libraries. */
interface UnpackedRedis {
  readonly command: string
  readonly env: NodeJS.ProcessEnv
}

/**
 * Downloads and unpacks the distribution's Redis, without root and without installing it. apt writes
 * to `stateDir` only, and reads the system's state to skip libraries that are installed.
 */
export async function unpackRedis(
  stateDir: string,
  env: NodeJS.ProcessEnv,
  print: Print,
): Promise<UnpackedRedis> {
  const folder = join(stateDir, 'redis')
  const cached = await findIn(folder, env)
  if (cached) return cached

  // The PATH of an ordinary user may lack the folders of the system's tools.
  const tools = { ...env, PATH: `${env.PATH ?? ''}:/usr/bin:/bin:/usr/sbin:/sbin`, LC_ALL: 'C' }
  if (!findProgram(['apt-get'], tools.PATH)) throw new Error('apt-get was not found')
  print(`no Redis on PATH: unpacking the distribution's package into ${folder} (not installed)`)

  const fresh = await mkdtemp(`${folder}-`)
  try {
    const archives = await download(join(fresh, 'apt'), tools)
    const unpacked = join(fresh, 'root')
    for (const archive of archives) {
      await run('dpkg-deb', ['--extract', archive, unpacked], { env: tools })
    }
    await rm(folder, { recursive: true, force: true })
    await rename(unpacked, folder)
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }

  const found = await findIn(folder, env)
  if (!found) throw new Error('the unpacked server does not run')
  return found
}

async function download(folder: string, env: NodeJS.ProcessEnv): Promise<string[]> {
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
  const install = ['install', '--download-only', '--reinstall', '--no-install-recommends', '--yes']
  await run('apt-get', [...options, '--quiet', ...install, 'redis-server', 'redis-tools'], { env })
  const names = (await readdir(archives)).filter((name) => name.endsWith('.deb'))
  // apt-get may exit with 0 although it has downloaded nothing.
  if (names.length === 0) throw new Error('apt-get downloaded nothing for redis-server')
  return names.map((name) => join(archives, name))
}

async function findIn(folder: string, env: NodeJS.ProcessEnv): Promise<UnpackedRedis | undefined> {
  const libraries = await findLibraryFolders(folder)
  const found = {
    command: join(folder, 'usr/bin/redis-server'),
    env: { LD_LIBRARY_PATH: libraries.join(':') },
  }
  const runs = await succeeds(found.command, ['--version'], { env: { ...env, ...found.env } })
  return runs ? found : undefined
}

/** Returns `usr/lib` and `lib`, and their folders of an architecture, such as `x86_64-linux-gnu`. */
async function findLibraryFolders(folder: string): Promise<string[]> {
  const lists = ['usr/lib', 'lib'].map(async (name) => {
    const path = join(folder, name)
    const found = await stat(path).then(
      () => readdir(path),
      () => [],
    )
    return [path, ...found.filter((it) => it.includes('-linux-')).map((it) => join(path, it))]
  })
  return (await Promise.all(lists)).flat()
}
