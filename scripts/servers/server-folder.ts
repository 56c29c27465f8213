import { chmod, mkdir, mkdtemp, readlink, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { OsUser } from './os-user.ts'
import { run } from './run.ts'
import type { Print } from './print.ts'
import { asUser } from './server-process.ts'

/**
 * The folder for the files of a server that runs as another user: the state folder itself, or,
 * where that user cannot enter the checkout, one outside it, which the state folder links to.
 */
export async function findServerFolder(
  stateDir: string,
  user: OsUser | undefined,
  print: Print,
): Promise<string> {
  await mkdir(stateDir, { recursive: true })
  if (!user) return stateDir
  const external = await findExternalFolder(stateDir)
  if (external) return external

  await chmod(stateDir, 0o755)
  const entered = asUser(user, 'test', ['-x', stateDir]).then(([test, args]) => run(test, args))
  if (
    await entered.then(
      () => true,
      () => false,
    )
  )
    return stateDir

  // Not a temporary folder: those are swept, and the data should outlive a reboot.
  const folder = await mkdtemp('/var/lib/spms-')
  await chmod(folder, 0o755)
  await symlink(folder, join(stateDir, LINK))
  print(`the user ${user.name} cannot enter ${stateDir}: its servers keep their files in ${folder}`)
  return folder
}

/** Removes what was put outside the state folder. */
export async function removeExternalFolder(stateDir: string): Promise<void> {
  const external = await findExternalFolder(stateDir)
  if (external) await rm(external, { recursive: true, force: true })
}

const LINK = 'elsewhere'

const findExternalFolder = (stateDir: string) =>
  readlink(join(stateDir, LINK)).catch((): undefined => undefined)
