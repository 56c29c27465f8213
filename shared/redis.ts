import { Redis, type RedisOptions } from 'ioredis'
import { parseRedisUrl, type RedisAddress } from './redis-address.ts'

export type { Redis } from 'ioredis'

export interface OpenRedisOptions {
  /** Shown in `CLIENT LIST`. */
  readonly name: string
  /** How long one command may take; it may still run later, so a late write proves nothing. */
  readonly commandTimeoutMs?: number
  /** Keeps the connection when a replica rejects a write; by default it reconnects, as after a failover. */
  readonly staysOnReplica?: boolean
  /** Told of each change of state, not of each attempt. */
  readonly onState: (state: RedisState, error?: Error) => void
}

export type RedisState = 'up' | 'down' | 'unsupported'

const COMMAND_TIMEOUT_MS = 50
const CONNECT_TIMEOUT_MS = 1_000
const RETRY_MIN_MS = 50
const RETRY_MAX_MS = 1_000
/** A connection on which nothing comes back this long after a command timed out is given up. */
const SILENCE_MS = 2_000

/**
 * Connects in the background and for ever; it returns at once, also while Redis is away.
 * While it is away commands fail at once: none waits in a queue, none is sent a second time.
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
    // Read by ioredis but not declared: how long a silent peer may take to say goodbye.
    disconnectTimeout: RETRY_MIN_MS,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: retryDelayMs,
    // A failover left us on a replica.
    reconnectOnError: (error: Error) => !staysOnReplica && error.message.startsWith('READONLY'),
  } as const
  const redis = new Redis({ ...options, ...addressOptions(parseRedisUrl(url)) })

  let state: RedisState | undefined
  let lastError: Error | undefined
  const become = (next: RedisState) => {
    if (next === state || state === 'unsupported') return
    state = next
    if (next === 'up') lastError = undefined
    onState(next, lastError)
  }

  // The scripts take keys of many slots, which a Cluster refuses.
  const rejectCluster = () => {
    lastError = new Error('Redis Cluster is not supported')
    become('unsupported')
    redis.disconnect()
  }

  redis.on('error', (error) => {
    lastError = explainRedisError(error)
  })
  redis.on('close', () => {
    // `end` is our own doing: nobody needs to be told.
    if (redis.status !== 'end') become('down')
  })
  redis.on('ready', () => {
    redis.info('cluster').then(
      (info) => (info.includes('cluster_enabled:1') ? rejectCluster() : become('up')),
      // Not permitted, or gone again; the latter is followed by `close`.
      () => become(redis.status === 'ready' ? 'up' : 'down'),
    )
  })
  return redis
}

/**
 * To be called before a command: all commands of one turn of the event loop then leave in one write,
 * which is most of what a command costs. None waits for longer by it: no answer can be read before
 * the turn is over. Each still has a reply, or an error, of its own.
 */
export function createGathering(redis: Redis): () => void {
  let isGathering = false
  return () => {
    if (isGathering || redis.status !== 'ready') return
    isGathering = true
    const { stream } = redis
    stream.cork()
    setImmediate(() => {
      isGathering = false
      stream.uncork()
    })
  }
}

/** With sentinels the master is asked for before every connection, and its connections end when another is elected. */
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

/** Longer after every failure, and never in step with the other processes. */
function retryDelayMs(attempt: number): number {
  const ceilingMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(attempt, 10))
  return ceilingMs * (0.5 + Math.random() / 2)
}

/** Says which setting is missing where the certificate of Redis cannot be verified. */
export function explainRedisError(error: Error): Error {
  const code = 'code' in error ? String(error.code) : ''
  if (!/^(SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_(VERIFY|GET_ISSUER))/.test(code)) return error
  const remedy = 'name the file of its certificate authority in NODE_EXTRA_CA_CERTS'
  return new Error(`${error.message}; ${remedy}`, { cause: error })
}
