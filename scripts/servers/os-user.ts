import { run } from './run.ts'

/** A user of the operating system. */
export interface OsUser {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/**
 * Returns the user that runs Postgres, which refuses to run as root: `postgres`, created if missing.
 * Returns undefined if this process does not run as root and can start Postgres itself.
 */
export async function findServerUser(): Promise<OsUser | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const known = await lookUp('postgres').catch(() => undefined)
  return known ?? createUser('postgres')
}

async function lookUp(name: string): Promise<OsUser> {
  const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])])
  return { name, uid: Number(uid), gid: Number(gid) }
}

async function createUser(name: string): Promise<OsUser> {
  const args = [
    '--system',
    '--user-group',
    '--no-create-home',
    '--shell',
    '/usr/sbin/nologin',
    name,
  ]
  try {
    await run('useradd', args)
  } catch (error) {
    // Another process may have created it at the same time.
    return lookUp(name).catch(() => {
      throw error
    })
  }
  return lookUp(name)
}
