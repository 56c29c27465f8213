import { Redis } from 'ioredis'
import { findFreePort } from '../../scripts/servers/port.ts'
import { type RedisProcess, startRedisProcess } from './redis-process.ts'
import { until } from './until.ts'

/** A Redis master, a replica, and sentinels that fail over when the master is down. */
export interface PrivateSentinels extends AsyncDisposable {
  readonly url: string
  /** URL of the server that is the first master, without the sentinels. */
  readonly firstUrl: string
  /** Kills the master and waits for the failover. Then restarts the old master as a replica. */
  failOver(): Promise<void>
}

const MASTER = 'spms'
const SENTINELS = 3
const PASSWORD = 'secret'

/**
 * Starts the servers and sentinels.
 * @param goneAfterMs - `down-after-milliseconds`. On a busy machine the default may cause a failover
 * of a running server, so tests must not depend on which server is master.
 */
export async function startPrivateSentinels(goneAfterMs = 2_000): Promise<PrivateSentinels> {
  const processes: RedisProcess[] = []
  const start = async (...launch: Parameters<typeof startRedisProcess>) => {
    const started = await startRedisProcess(...launch)
    processes.push(started)
    return started
  }
  const secured = [`requirepass ${PASSWORD}`, `masterauth ${PASSWORD}`]
  const first = await start(await findFreePort(), secured)
  const replicaof = `replicaof 127.0.0.1 ${first.port}`
  const second = await start(await findFreePort(), [...secured, replicaof])
  const servers = new Map([first, second].map((server) => [server.port, server]))
  const watched = [
    `sentinel monitor ${MASTER} 127.0.0.1 ${first.port} 2`,
    `sentinel auth-pass ${MASTER} ${PASSWORD}`,
    `sentinel down-after-milliseconds ${MASTER} ${goneAfterMs}`,
    `sentinel failover-timeout ${MASTER} 5000`,
  ]
  const sentinels: RedisProcess[] = []
  for (let n = 0; n < SENTINELS; n++) {
    sentinels.push(await start(await findFreePort(), watched, ['--sentinel']))
  }
  const ports = sentinels.map(({ port }) => port)
  const [asked] = ports as [number]

  const ask = async <T>(question: (sentinel: Redis) => Promise<T>): Promise<T> => {
    const sentinel = new Redis(asked)
    try {
      return await question(sentinel)
    } finally {
      sentinel.disconnect()
    }
  }
  const master = () =>
    ask(async (sentinel) => {
      const address = await sentinel.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER)
      return Number((address as string[])[1])
    })
  /** Whether all sentinels know each other and a replica that can be promoted. */
  const areReady = () =>
    ask(async (sentinel) => {
      const state = (await sentinel.call('SENTINEL', 'MASTER', MASTER)) as string[]
      const of = (name: string) => state[state.indexOf(name) + 1]
      const replicas = (await sentinel.call('SENTINEL', 'REPLICAS', MASTER)) as string[][]
      const isLinked = replicas.some(
        (fields) => fields[fields.indexOf('master-link-status') + 1] === 'ok',
      )
      return (
        of('num-other-sentinels') === `${SENTINELS - 1}` && of('flags') === 'master' && isLinked
      )
    })
  await until(areReady)

  return {
    url: `redis-sentinel://:${PASSWORD}@${ports.map((port) => `127.0.0.1:${port}`).join()}/0#${MASTER}`,
    firstUrl: `redis://:${PASSWORD}@127.0.0.1:${first.port}`,
    async failOver() {
      const before = await master()
      await servers.get(before)?.kill()
      await until(async () => (await master()) !== before)
      await servers.get(before)?.start()
      await until(areReady)
    },
    async [Symbol.asyncDispose]() {
      for (const process of processes.toReversed()) await process[Symbol.asyncDispose]()
    },
  }
}
