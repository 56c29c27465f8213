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
  /** PATH and REDIS_IMAGE say where a server is found. */
  readonly env: NodeJS.ProcessEnv
  /** A free one when it is not given. */
  readonly port?: number
  /** A folder whose `dump.rdb` it begins with, and into which `SAVE` writes it. */
  readonly dataDir?: string
  readonly print: Print
}

/** A Redis that was started here. It stores nothing on disk unless it is told to. */
export interface RedisServer extends Server {
  /** Ends it at once. */
  kill(): Promise<void>
  /** Holds it still: connections stay open and nothing answers. */
  freeze(): Promise<void>
  thaw(): Promise<void>
}

const START_MS = 15_000
/** An image may have to be fetched first. */
const CONTAINER_START_MS = 180_000

/**
 * Starts a Redis on 127.0.0.1, from PATH, from the distribution's packages, or in Docker.
 * @throws ConfigurationError when this machine has none, with how to install one.
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
    // A free port may be taken in between; a given one may not be free yet.
    if (attempt === 5) throw new Error(`Redis did not start on port ${port}: see .spms/redis.log`)
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
    // Nothing to save, and a frozen server heeds no other.
    deathSignal: 'KILL',
    env: { ...env, ...program.env },
    logPath,
  })
  return {
    url,
    port,
    process: started,
    // Redis rewrites its command line to show its address.
    mark: `127.0.0.1:${port}`,
    stop: () => started.stop('SIGTERM', 2000),
    kill: () => started.stop('SIGKILL'),
    freeze: async () => started.signal('SIGSTOP'),
    thaw: async () => started.signal('SIGCONT'),
  }
}

/** As our own user, or the folder would become another one's. */
const mounted = (dataDir: string | undefined): string[] =>
  dataDir === undefined
    ? []
    : ['--volume', `${dataDir}:/data`, '--user', `${process.getuid?.()}:${process.getgid?.()}`]

/**
 * Docker's client leaves the container behind when it is sent the death signal, which comes once
 * for every thread of ours. The shell heeds it once.
 */
const RUN_CONTAINER = `
  trap 'trap "" TERM; docker rm --force "$0"; exit' TERM
  docker run --rm --name "$0" "$@" &
  wait $!`

/** As `volatile-lru` asks: what has no expiry (the watermark) is never evicted. */
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
