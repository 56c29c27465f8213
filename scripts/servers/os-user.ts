import { run } from './run.ts'

/** A user of the operating system. */
export interface OsUser {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/**
 * The user that runs Postgres, which refuses root: `postgres`, made when it is missing.
 * `undefined` says that whoever runs us can run it too.
 */
export async function findServerUser(): Promise<OsUser | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const known = await lookUp('postgres').catch(() => undefined)
  return known ?? makeUser('postgres')
}

async function lookUp(name: string): Promise<OsUser> {
  const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])])
  return { name, uid: Number(uid), gid: Number(gid) }
}

async function makeUser(name: string): Promise<OsUser> {
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
    // Another start may have made it at the same moment.
    return lookUp(name).catch(() => {
      throw error
    })
  }
  return lookUp(name)
}
