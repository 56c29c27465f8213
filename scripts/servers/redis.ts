import { mkdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findFreePort } from './port.ts'
import { findRedisProgram, type RedisProgram } from './redis-program.ts'
import { run } from './run.ts'
import type { Print } from './print.ts'
import type { Server } from './server.ts'
import { type ServerProcess, startProcess } from './server-process.ts'

export interface RedisOptions {
  readonly stateDir: string
  /** PATH and REDIS_IMAGE select the server. */
  readonly env: NodeJS.ProcessEnv
  /** A free port if undefined. */
  readonly port?: number
  /** Folder of the `dump.rdb` that the server loads at start and that `SAVE` writes. */
  readonly dataDir?: string
  readonly print: Print
}

/** A Redis that this process started. It writes to disk only on `SAVE`. */
export interface RedisServer extends Server {
  /** Ends the server with SIGKILL. */
  kill(): Promise<void>
  /** Suspends the server: connections stay open and get no replies. */
  freeze(): Promise<void>
  thaw(): Promise<void>
}

const START_MS = 15_000
/** Docker may have to pull the image first. */
const CONTAINER_START_MS = 180_000

/**
 * Starts a Redis on 127.0.0.1, from PATH, from the distribution's packages, or in Docker.
 * @throws ConfigurationError if this machine has none, with the command to install one.
 */
export async function startRedis(options: RedisOptions): Promise<RedisServer> {
  const { stateDir, env, print } = options
  await mkdir(stateDir, { recursive: true })
  const program = await findRedisProgram(stateDir, env, print)
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await findFreePort())
    const server = await launch(program, port, join(stateDir, 'redis.log'), options)
    if (await answers(server.process, port, program.image ? CONTAINER_START_MS : START_MS)) {
      return server
    }
    await server.kill()
    // Another process may have taken the port, or an old server may still use it.
    if (attempt === 5)
      throw new Error(`Redis did not start on port ${port}: see ${join(stateDir, 'redis.log')}`)
    await sleep(100 * attempt)
  }
}

async function launch(
  program: RedisProgram,
  port: number,
  logPath: string,
  { env, dataDir }: RedisOptions,
): Promise<RedisServer> {
  const url = `redis://127.0.0.1:${port}`
  if (program.image !== undefined) {
    const container = `spms-redis-${process.pid}-${port}`
    const published = ['--publish', `127.0.0.1:${port}:6379`]
    const server = [program.image, 'redis-server', '--protected-mode', 'no', ...SETTINGS]
    const args = ['-c', RUN_CONTAINER, container, ...published, ...mounted(dataDir), ...server]
    const shell = { command: 'sh', args, deathSignal: 'TERM', env, logPath } as const
    const docker = (...words: string[]) => run('docker', words, { env }).then(() => {})
    const started = await startProcess(shell)
    return {
      url,
      port,
      process: started,
      mark: container,
      container,
      stop: () => started.stop('SIGTERM'),
      kill: () =>
        docker('kill', container).then(
          () => started.ended,
          () => started.stop('SIGKILL'),
        ),
      freeze: () => docker('pause', container),
      thaw: () => docker('unpause', container),
    }
  }

  const started = await startProcess({
    command: program.command,
    args: ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', dataDir ?? '/', ...SETTINGS],
    // It has nothing to save, and a suspended process handles no other signal.
    deathSignal: 'KILL',
    env: { ...env, ...program.env },
    logPath,
  })
  return {
    url,
    port,
    process: started,
    // Redis changes its command line to show its address.
    mark: `127.0.0.1:${port}`,
    stop: () => started.stop('SIGTERM', 2000),
    kill: () => started.stop('SIGKILL'),
    freeze: async () => started.signal('SIGSTOP'),
    thaw: async () => started.signal('SIGCONT'),
  }
}

/** Returns the volume of the data folder. The server runs as the current user, so that it does not change the owner. */
const mounted = (dataDir: string | undefined): string[] =>
  dataDir === undefined
    ? []
    : ['--volume', `${dataDir}:/data`, '--user', `${process.getuid?.()}:${process.getgid?.()}`]

/**
 * Docker's client does not remove the container on the death signal, so this shell does. The kernel
 * sends the signal once for every thread of the starter; the trap handles only the first.
 */
const RUN_CONTAINER = `
  trap 'trap "" TERM; docker rm --force "$0"; exit' TERM
  docker run --rm --name "$0" "$@" &
  wait $!`

/** With `volatile-lru` Redis never evicts keys without expiry, such as the watermark. */
const SETTINGS = [
  '--save',
  '',
  '--appendonly',
  'no',
  '--maxmemory',
  '256mb',
  '--maxmemory-policy',
  'volatile-lru',
]

async function answers(process: ServerProcess, port: number, withinMs: number): Promise<boolean> {
  const until = Date.now() + withinMs
  while (!process.hasEnded() && Date.now() < until) {
    if (await ping(port)) return !process.hasEnded()
    await sleep(20)
  }
  return false
}

function ping(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: 1000 })
    const done = (answered: boolean) => {
      socket.destroy()
      resolve(answered)
    }
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.once('data', (data) => done(data.toString().startsWith('+PONG')))
    socket.once('error', () => done(false))
    socket.once('timeout', () => done(false))
    socket.once('close', () => done(false))
  })
}
