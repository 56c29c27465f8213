import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { stateDir } from '../../scripts/paths.ts'
import { type RedisServer, startRedis } from '../../scripts/servers/redis.ts'

/** A private Redis that a test can stop, freeze and restart at the same address. */
export interface PrivateRedis extends AsyncDisposable {
  readonly url: string
  readonly port: number
  /** Stops it with SIGKILL, and waits until it has ended. Unsaved data is lost. */
  stop(): Promise<void>
  /** Restarts it on the same port, with the last saved data. */
  start(): Promise<void>
  /** Saves its data to a file. */
  save(): Promise<void>
  /** Suspends it with SIGSTOP: connections stay open without answers. */
  freeze(): Promise<void>
  thaw(): Promise<void>
}

/** Starts a private Redis, by default on a free port. `env` adds to its environment. */
export async function startPrivateRedis(
  port?: number,
  env: NodeJS.ProcessEnv = {},
): Promise<PrivateRedis> {
  const dataDir = await mkdtemp(join(tmpdir(), 'spms-redis-'))
  let server = await start(dataDir, port, env)
  return {
    url: server.url,
    port: server.port,
    stop: () => server.kill(),
    async start() {
      server = await start(dataDir, server.port, env)
    },
    async save() {
      const client = new Redis(server.url)
      await client.save()
      client.disconnect()
    },
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
    async [Symbol.asyncDispose]() {
      await server.kill()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

const start = (
  dataDir: string,
  port: number | undefined,
  env: NodeJS.ProcessEnv,
): Promise<RedisServer> =>
  startRedis({
    stateDir,
    env: {
      ...process.env,
      REDIS_IMAGE: process.env.TEST_REDIS_IMAGE ?? process.env.REDIS_IMAGE,
      ...env,
    },
    ...(port !== undefined && { port }),
    dataDir,
    print: (line) => void process.stderr.write(`${line}\n`),
  })
