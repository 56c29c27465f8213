import { stateDir } from '../../scripts/paths.ts'
import { type RedisServer, startRedis } from '../../scripts/servers/redis.ts'

/** A Redis of one test's own, which it may stop, freeze and start again at the same address. */
export interface PrivateRedis extends AsyncDisposable {
  readonly url: string
  readonly port: number
  /** Ends it at once, as SIGKILL does, and waits until it is gone. What it held is lost. */
  stop(): Promise<void>
  /** Starts it again, empty, on the same port. */
  start(): Promise<void>
  /** Holds it still, as SIGSTOP does: connections stay open and nothing answers. */
  freeze(): Promise<void>
  thaw(): Promise<void>
}

/** Starts a private Redis, on a free port unless one is given. */
export async function startPrivateRedis(port?: number): Promise<PrivateRedis> {
  let server = await start(port)
  return {
    url: server.url,
    port: server.port,
    stop: () => server.kill(),
    async start() {
      server = await start(server.port)
    },
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
    [Symbol.asyncDispose]: () => server.kill(),
  }
}

const start = (port: number | undefined): Promise<RedisServer> =>
  startRedis({
    stateDir,
    env: { ...process.env, REDIS_IMAGE: process.env.TEST_REDIS_IMAGE ?? process.env.REDIS_IMAGE },
    ...(port !== undefined && { port }),
    say: (line) => void process.stderr.write(`${line}\n`),
  })
