import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { stateDir } from '../../scripts/paths.ts'
import { findRedisProgram } from '../../scripts/servers/redis-program.ts'
import { startProcess } from '../../scripts/servers/server-process.ts'

/** A Redis server or sentinel with its own settings. */
export interface RedisProcess extends AsyncDisposable {
  readonly port: number
  /** Of the running process. */
  readonly pid: number
  /** Stops it with SIGKILL. */
  kill(): Promise<void>
  /** Sends it a signal, such as SIGSTOP to suspend it. */
  signal(signal: NodeJS.Signals): void
  /** Restarts it with its settings file, which it may have rewritten. */
  start(): Promise<void>
}

/**
 * Starts a server with these lines in its settings file, and waits until it answers on `port`. If the lines name this
 * port as `tls-port`, the server speaks TLS only.
 * @throws if Redis is only available as a Docker image.
 */
export async function startRedisProcess(
  port: number,
  settings: readonly string[],
  args: readonly string[] = [],
  environment: NodeJS.ProcessEnv = {},
): Promise<RedisProcess> {
  const program = await findRedisProgram(stateDir, process.env, () => {})
  if (program.image !== undefined)
    throw new Error('this test requires a Redis server outside Docker')
  const { command, env } = program
  const dir = await mkdtemp(join(tmpdir(), 'spms-redis-'))
  const file = join(dir, 'redis.conf')
  const isTls = settings.includes(`tls-port ${port}`)
  const common = [`port ${isTls ? 0 : port}`, 'bind 127.0.0.1', `dir ${dir}`, 'save ""']
  await writeFile(file, [...common, ...settings, ''].join('\n'))

  async function launch() {
    const started = await startProcess({
      command,
      args: [file, ...args],
      deathSignal: 'KILL',
      env: { ...process.env, ...env, ...environment },
      logPath: join(dir, 'redis.log'),
    })
    const client = new Redis(port, {
      retryStrategy: () => 20,
      maxRetriesPerRequest: null,
      ...(isTls && { tls: { rejectUnauthorized: false } }),
    })
    client.on('error', () => {})
    // An authentication error is also an answer.
    await client.ping().catch(() => undefined)
    client.disconnect()
    return started
  }

  let running = await launch()
  return {
    port,
    get pid() {
      return running.pid
    },
    kill: () => running.stop('SIGKILL'),
    signal: (signal) => running.signal(signal),
    async start() {
      running = await launch()
    },
    async [Symbol.asyncDispose]() {
      await running.stop('SIGKILL')
      await rm(dir, { recursive: true, force: true })
    },
  }
}
