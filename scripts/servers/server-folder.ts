import { chmod, mkdir, mkdtemp, readlink, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { OsUser } from './os-user.ts'
import { run } from './run.ts'
import type { Print } from './print.ts'
import { asUser } from './server-process.ts'

/**
 * Returns the folder for the files of a server that runs as another user. This is the state folder,
 * or, if that user cannot enter it, a folder outside that the state folder links to.
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

  // Not a temporary folder, because the data should survive a reboot.
  const folder = await mkdtemp('/var/lib/spms-')
  await chmod(folder, 0o755)
  await symlink(folder, join(stateDir, LINK))
  print(
    `the user ${user.name} cannot enter ${stateDir}: its servers store their files in ${folder}`,
  )
  return folder
}

/** Removes the folder outside the state folder, if there is one. */
export async function removeExternalFolder(stateDir: string): Promise<void> {
  const external = await findExternalFolder(stateDir)
  if (external) await rm(external, { recursive: true, force: true })
}

const LINK = 'elsewhere'

const findExternalFolder = (stateDir: string) =>
  readlink(join(stateDir, LINK)).catch((): undefined => undefined)
