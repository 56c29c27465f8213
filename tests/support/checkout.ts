import { chmod, cp, lstat, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { root, stateDir } from '../../scripts/paths.ts'
import { removeExternalFolder } from '../../scripts/servers/server-folder.ts'
import { run } from '../../scripts/servers/run.ts'

/** A copy of the working tree like a fresh clone, with installed packages. */
export interface Checkout extends AsyncDisposable {
  readonly dir: string
}

/** Copies all files that git does not ignore, and the unpacked Redis, which would be downloaded again. */
export async function copyCheckout(): Promise<Checkout> {
  const dir = await mkdtemp(join(tmpdir(), 'spms-checkout-'))
  // Postgres runs as another user if root runs the tests.
  await chmod(dir, 0o755)
  const listed = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
  for (const name of (await run('git', listed, { cwd: root })).split('\0')) {
    if (name !== '' && (await exists(join(root, name)))) {
      await mkdir(dirname(join(dir, name)), { recursive: true })
      await cp(join(root, name), join(dir, name))
    }
  }
  await symlink(join(root, 'node_modules'), join(dir, 'node_modules'))
  const redis = join(stateDir, 'redis')
  if (await exists(redis)) {
    await cp(redis, join(dir, '.spms/redis'), { recursive: true, verbatimSymlinks: true })
  }
  return {
    dir,
    async [Symbol.asyncDispose]() {
      await removeExternalFolder(join(dir, '.spms'))
      await rm(dir, { recursive: true, force: true })
    },
  }
}

const exists = (path: string) =>
  lstat(path).then(
    () => true,
    () => false,
  )
