import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { stateDir } from '../../scripts/paths.ts'
import { type RedisServer, startRedis } from '../../scripts/servers/redis.ts'

/** A Redis of one test's own, which it may stop, freeze and start again at the same address. */
export interface PrivateRedis extends AsyncDisposable {
  readonly url: string
  readonly port: number
  /** Ends it at once, as SIGKILL does, and waits until it is gone. What it held is lost. */
  stop(): Promise<void>
  /** Starts it again on the same port: with what was last saved, or empty. */
  start(): Promise<void>
  /** Writes all that it holds to a file. */
  save(): Promise<void>
  /** Holds it still, as SIGSTOP does: connections stay open and nothing answers. */
  freeze(): Promise<void>
  thaw(): Promise<void>
}

/** Starts a private Redis, on a free port unless one is given, with more environment if there is any. */
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
