import { Redis, type RedisOptions } from 'ioredis'
import { parseRedisUrl, type RedisAddress } from './address.ts'
import { errorCode, backOffMs } from '../../../db/event-log/index.ts'

export type { Redis } from 'ioredis'

export interface OpenRedisOptions {
  /** Shown in `CLIENT LIST`. */
  readonly name: string
  /** Time-out of one command. The command may still run later, so a late write proves nothing. */
  readonly commandTimeoutMs?: number
  /**
   * Keeps the connection if a replica rejects a write. By default it reconnects, as after a
   * failover.
   */
  readonly staysOnReplica?: boolean
  /** Called at each change of state, not at each attempt to connect. */
  readonly onState: (state: RedisState, error?: Error) => void
}

export type RedisState = 'up' | 'down' | 'unsupported'

const COMMAND_TIMEOUT_MS = 50
const CONNECT_TIMEOUT_MS = 1_000
const RETRY_MIN_MS = 50
const RETRY_MAX_MS = 1_000
/** A connection is closed if it receives nothing for this long after a command timed out. */
const SILENCE_MS = 2_000

/**
 * Connects in the background, with unlimited retries. Returns at once, also while Redis is unavailable.
 * Commands then fail at once: none is queued, and none is sent again.
 * @throws ConfigurationError for an address that `parseRedisUrl` rejects.
 */
export function openRedis(
  url: string,
  {
    name,
    commandTimeoutMs = COMMAND_TIMEOUT_MS,
    staysOnReplica = false,
    onState,
  }: OpenRedisOptions,
): Redis {
  const options = {
    connectionName: name,
    protocol: 2,
    commandTimeout: commandTimeoutMs,
    socketTimeout: commandTimeoutMs + SILENCE_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    // Read by ioredis but not declared: how long it waits for the peer to close the connection.
    disconnectTimeout: RETRY_MIN_MS,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: retryDelayMs,
    // After a failover the connection may lead to a replica.
    reconnectOnError: (error: Error) => !staysOnReplica && error.message.startsWith('READONLY'),
  } as const
  const redis = new Redis({ ...options, ...addressOptions(parseRedisUrl(url)) })

  let state: RedisState | undefined
  let lastError: Error | undefined
  const setState = (next: RedisState) => {
    if (next === state || state === 'unsupported') return
    state = next
    if (next === 'up') lastError = undefined
    onState(next, lastError)
  }

  // The scripts use keys of several slots, which a Cluster rejects.
  const rejectCluster = () => {
    lastError = new Error('Redis Cluster is not supported')
    setState('unsupported')
    redis.disconnect()
  }

  redis.on('error', (error) => {
    lastError = explainRedisError(error)
  })
  redis.on('close', () => {
    // `end` means that this process closed the connection, which is no failure.
    if (redis.status !== 'end') setState('down')
  })
  redis.on('ready', () => {
    redis.info('cluster').then(
      (info) => (info.includes('cluster_enabled:1') ? rejectCluster() : setState('up')),
      // INFO is not permitted, or the connection is lost again. A `close` event follows the latter.
      () => setState(redis.status === 'ready' ? 'up' : 'down'),
    )
  })
  return redis
}

/**
 * Returns a function to call before a command: all commands of one turn of the event loop are then sent
 * in one write, which is most of a command's cost. No command waits longer, because no reply can be
 * read before the turn ends. Each command still has its own reply or error.
 *
 * The function returns whether the command waits for the end of the turn. `onSend` is called before each
 * write.
 */
export function createGathering(redis: Redis, onSend: () => void): () => boolean {
  let isGathering = false
  return () => {
    if (isGathering) return true
    if (redis.status !== 'ready') return false
    isGathering = true
    const { stream } = redis
    stream.cork()
    setImmediate(() => {
      isGathering = false
      onSend()
      stream.uncork()
    })
    return true
  }
}

/**
 * With sentinels, each connection first requests the master, and ends when another master is
 * elected.
 */
function addressOptions(address: RedisAddress) {
  const { database, username, password, tls } = address
  const login = {
    db: database,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: {} }),
  }
  if (address.kind === 'server') {
    return { host: address.host, port: address.port, ...login } satisfies RedisOptions
  }
  const { master, sentinels, sentinelPassword } = address
  return {
    ...login,
    sentinels: [...sentinels],
    name: master,
    failoverDetector: true,
    sentinelRetryStrategy: retryDelayMs,
    sentinelReconnectStrategy: retryDelayMs,
    sentinelCommandTimeout: CONNECT_TIMEOUT_MS,
    ...(sentinelPassword !== undefined && { sentinelPassword }),
    ...(tls && { sentinelTLS: {}, enableTLSForSentinelMode: true }),
  } satisfies RedisOptions
}

const retryDelayMs = (failures: number) => backOffMs(failures + 1, RETRY_MIN_MS, RETRY_MAX_MS)

/** Adds a remedy to an error if the certificate of Redis cannot be verified. */
export function explainRedisError(error: Error): Error {
  const code = errorCode(error) ?? ''
  if (!/^(SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_(VERIFY|GET_ISSUER))/.test(code)) return error
  const remedy = 'name the file of its certificate authority in NODE_EXTRA_CA_CERTS'
  return new Error(`${error.message}; ${remedy}`, { cause: error })
}
