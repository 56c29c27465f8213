import { readFile } from 'node:fs/promises'
import { ConfigurationError } from '../../shared/errors.ts'
import { findProgram } from './path-search.ts'
import { unpackRedis } from './redis-package.ts'
import { succeeds } from './run.ts'
import type { Print } from './print.ts'

/** A Redis server that this machine can run: a program, or an image in Docker. */
export type RedisProgram =
  | { readonly command: string; readonly env?: NodeJS.ProcessEnv; readonly image?: undefined }
  | { readonly image: string }

/**
 * Finds a Redis server on PATH, in the distribution's packages, or in Docker, in this order.
 * @throws ConfigurationError if there is none, with the command to install one.
 */
export async function findRedisProgram(
  stateDir: string,
  env: NodeJS.ProcessEnv,
  print: Print,
): Promise<RedisProgram> {
  const command = findProgram(['redis-server', 'valkey-server'], env.PATH)
  if (command) return { command }

  const release = await readRelease()
  const failures: string[] = []
  if (/\b(debian|ubuntu)\b/.test(release)) {
    try {
      return await unpackRedis(stateDir, env, print)
    } catch (error) {
      failures.push(` The distribution's package could not be unpacked: ${lastLine(error)}.`)
    }
  }

  if (await succeeds('docker', ['version'], { env })) {
    const image = env.REDIS_IMAGE ?? 'redis:7-alpine'
    print(`no Redis on PATH: running ${image} in Docker`)
    return { image }
  }

  throw new ConfigurationError(
    `no Redis server found: ${howToInstall(release)}, or set REDIS_URL.${failures.join('')}`,
  )
}

/** Returns `ID` and `ID_LIKE` of the Linux distribution; an empty string on other systems. */
async function readRelease(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return text
    .split('\n')
    .filter((line) => /^ID(_LIKE)?=/.test(line))
    .join(' ')
}

function howToInstall(release: string): string {
  if (process.platform === 'darwin') return 'run `brew install redis`'
  if (process.platform === 'win32') return 'run this in WSL, with Redis installed there'
  if (/\b(debian|ubuntu)\b/.test(release)) return 'run `sudo apt-get install redis-server`'
  if (/\b(fedora|rhel|centos)\b/.test(release)) return 'run `sudo dnf install valkey`'
  if (/\balpine\b/.test(release)) return 'run `apk add redis`'
  if (/\barch\b/.test(release)) return 'run `sudo pacman -S valkey`'
  if (/\bsuse\b/.test(release)) return 'run `sudo zypper install redis`'
  return 'install Redis or Valkey so that its server is on PATH'
}

const lastLine = (error: unknown) =>
  (error instanceof Error ? error.message : String(error)).trim().split('\n').at(-1) ?? ''
