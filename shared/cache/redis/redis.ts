import { Redis, type RedisOptions } from 'ioredis'
import { type ClusterAddress, parseRedisUrl, type RedisAddress } from './address.ts'
import { backOffMs, ConfigurationError, errorCode } from '../../../db/event-log/index.ts'

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
  /** Whether the server is a node of a Redis Cluster. By default such a server is rejected. */
  readonly isClusterNode?: boolean
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

/** Address of one connection: a server, or the master that sentinels report. */
export type ConnectionAddress = Exclude<RedisAddress, ClusterAddress>

/**
 * Opens a connection to one server, by its URL.
 * @throws ConfigurationError for an address that `parseRedisUrl` rejects, and for a Redis Cluster.
 */
export function openRedis(url: string, options: OpenRedisOptions): Redis {
  const address = parseRedisUrl(url)
  if (address.kind === 'cluster') {
    throw new ConfigurationError('this is one connection, and a Redis Cluster needs several')
  }
  return openConnection(address, options)
}

/**
 * Connects in the background, with unlimited retries. Returns at once, also while Redis is unavailable.
 * Commands then fail at once: none is queued, and none is sent again.
 */
export function openConnection(
  address: ConnectionAddress,
  {
    name,
    commandTimeoutMs = COMMAND_TIMEOUT_MS,
    staysOnReplica = false,
    isClusterNode = false,
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
  const redis = new Redis({ ...options, ...addressOptions(address) })

  let state: RedisState | undefined
  let lastError: Error | undefined
  const setState = (next: RedisState) => {
    if (next === state || state === 'unsupported') return
    state = next
    if (next === 'up') lastError = undefined
    onState(next, lastError)
  }

  // Keys without the hash tag of a bucket are in several slots, which no script may use.
  const rejectCluster = () => {
    lastError = new Error('this server is a node of a Redis Cluster: write redis-cluster://')
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
    if (isClusterNode) return setState('up')
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
function addressOptions(address: ConnectionAddress) {
  const { database, username, password, tls } = address
  const login = {
    db: database,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: {} }),
  }
  if (address.kind === 'server') {
    const { host, port, serverName } = address
    const tlsOptions = tls && serverName !== undefined && { tls: { servername: serverName } }
    return { host, port, ...login, ...tlsOptions } satisfies RedisOptions
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
