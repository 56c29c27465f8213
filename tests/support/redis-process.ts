import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { stateDir } from '../../scripts/paths.ts'
import { findRedisProgram } from '../../scripts/servers/redis-program.ts'
import { startProcess } from '../../scripts/servers/server-process.ts'

/** A server or a sentinel with settings of its own. */
export interface RedisProcess extends AsyncDisposable {
  readonly port: number
  /** Ends it at once. */
  kill(): Promise<void>
  /** Starts it again with what it has written into its file of settings. */
  start(): Promise<void>
}

/** Starts one from lines of a file of settings, on a port without TLS, and waits until it answers there. */
export async function startRedisProcess(
  port: number,
  settings: readonly string[],
  args: readonly string[] = [],
  environment: NodeJS.ProcessEnv = {},
): Promise<RedisProcess> {
  const program = await findRedisProgram(stateDir, process.env, () => {})
  if (program.image !== undefined) throw new Error('this needs a Redis server outside Docker')
  const { command, env } = program
  const dir = await mkdtemp(join(tmpdir(), 'spms-redis-'))
  const file = join(dir, 'redis.conf')
  const common = [`port ${port}`, 'bind 127.0.0.1', `dir ${dir}`, 'save ""']
  await writeFile(file, [...common, ...settings, ''].join('\n'))

  async function launch() {
    const started = await startProcess({
      command,
      args: [file, ...args],
      deathSignal: 'KILL',
      env: { ...process.env, ...env, ...environment },
      logPath: join(dir, 'redis.log'),
    })
    const client = new Redis(port, { retryStrategy: () => 20, maxRetriesPerRequest: null })
    client.on('error', () => {})
    // One that asks for a password answers, too.
    await client.ping().catch(() => undefined)
    client.disconnect()
    return started
  }

  let running = await launch()
  return {
    port,
    kill: () => running.stop('SIGKILL'),
    async start() {
      running = await launch()
    },
    async [Symbol.asyncDispose]() {
      await running.stop('SIGKILL')
      await rm(dir, { recursive: true, force: true })
    },
  }
}
