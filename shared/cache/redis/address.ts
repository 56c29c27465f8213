import { ConfigurationError } from '../../../db/event-log/index.ts'

/** Address of Redis: one server, the master that a group of sentinels reports, or a Redis Cluster. */
export type RedisAddress = ServerAddress | SentinelAddress | ClusterAddress

/** Host and port of one server. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

interface RedisLogin {
  readonly database: number
  /** Login for the servers, not for the sentinels. */
  readonly username?: string
  readonly password?: string
  /** Applies to the servers and the sentinels. */
  readonly tls: boolean
}

export interface ServerAddress extends RedisLogin, HostPort {
  readonly kind: 'server'
  /** Name in its certificate, if it is not the host. */
  readonly serverName?: string
}

export interface SentinelAddress extends RedisLogin {
  readonly kind: 'sentinel'
  /** Name of the master in the configuration of the sentinels. */
  readonly master: string
  readonly sentinels: readonly HostPort[]
  /** Often not needed. */
  readonly sentinelPassword?: string
}

export interface ClusterAddress extends RedisLogin {
  readonly kind: 'cluster'
  /** Nodes that are asked for the others; any of them may be absent. */
  readonly nodes: readonly HostPort[]
  /** Number of buckets, a power of two. All processes of one prefix must agree. */
  readonly buckets: number
  /** Address to connect to, by the address `host:port` that the cluster advertises. */
  readonly map: ReadonlyMap<string, HostPort>
}

/** Syntax of an address, for messages and documentation. */
const REDIS_URL_FORMS =
  'redis[s]://[user:password@]host[:port][/database], redis[s]-sentinel://[user:password@]host[:port][,host...][/database][?sentinelPassword=...]#master or redis[s]-cluster://[user:password@]host[:port][,host...][?buckets=64][&map=advertised:port=host:port,...]'

const URL_OF =
  /^redis(?<tls>s?)(?:-(?<group>sentinel|cluster))?:\/\/(?:(?<user>[^:@/?#]*)(?::(?<password>[^@/?#]*))?@)?(?<hosts>[^@/?#]+)(?:\/(?<database>\d*))?(?:\?(?<query>[^#]*))?(?:#(?<master>.+))?$/
const HOST = /^(?<host>\[[\da-f:.]+\]|[^:\s]+)(?::(?<port>\d{1,5}))?$/i

const REDIS_PORT = 6379
const SENTINEL_PORT = 26379
const BUCKETS = 64
const MAX_BUCKETS = 1_024

/** Parameters of each kind of address. */
const PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  sentinel: ['sentinelPassword'],
  cluster: ['buckets', 'map'],
}

/** Hints for parameters that the driver accepts but this program rejects. */
const HINTS: Readonly<Record<string, string>> = {
  keyPrefix: 'CACHE_PREFIX is the prefix of every key',
  db: 'write the database as the path',
  username: 'write it before the @',
  password: 'write it before the @',
  tls: 'write rediss://',
}

/**
 * Parses the address of a Redis. Rejects unsupported parameters by name, because some options of the
 * driver change the keys of commands.
 * @throws ConfigurationError that describes the mistake, but contains no value that may be secret.
 */
export function parseRedisUrl(text: string): RedisAddress {
  const groups = URL_OF.exec(text)?.groups
  if (!groups) throw malformed()
  const { tls, group, user, password, hosts = '', database, query, master } = groups
  const parameters = new URLSearchParams(query)
  for (const name of parameters.keys()) {
    if (PARAMETERS[group ?? '']?.includes(name)) continue
    const hint = HINTS[name] ?? `write ${REDIS_URL_FORMS}`
    throw new ConfigurationError(`the parameter ${JSON.stringify(name)} is not supported: ${hint}`)
  }
  const usualPort = group === 'sentinel' ? SENTINEL_PORT : REDIS_PORT
  const addresses = hosts.split(',').map((part) => parseHostPort(part, usualPort))
  const [first] = addresses as [HostPort]
  if ((group === 'sentinel') !== (master !== undefined)) throw malformed()
  const login: RedisLogin = {
    database: Number(database ?? 0),
    tls: tls === 's',
    ...(user && { username: decode(user) }),
    ...(password && { password: decode(password) }),
  }
  if (group === 'cluster') {
    if (login.database !== 0) throw new ConfigurationError('a Redis Cluster has only database 0')
    return {
      kind: 'cluster',
      nodes: addresses,
      buckets: parseBuckets(parameters.get('buckets')),
      map: parseMap(parameters.get('map')),
      ...login,
    }
  }
  if (master === undefined) {
    if (addresses.length > 1) throw malformed()
    return { kind: 'server', ...first, ...login }
  }
  const sentinelPassword = parameters.get('sentinelPassword')
  return {
    kind: 'sentinel',
    master: decode(master),
    sentinels: addresses,
    ...login,
    ...(sentinelPassword && { sentinelPassword }),
  }
}

const malformed = () => new ConfigurationError(`is not ${REDIS_URL_FORMS}`)

function parseHostPort(text: string, usualPort: number): HostPort {
  const { host, port } = HOST.exec(text)?.groups ?? {}
  if (host === undefined || Number(port ?? 1) > 65_535) throw malformed()
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port ?? usualPort) }
}

function parseBuckets(text: string | null): number {
  if (text === null) return BUCKETS
  const count = Number(text)
  if (!/^\d{1,4}$/.test(text) || count < 2 || count > MAX_BUCKETS || (count & (count - 1)) !== 0) {
    throw new ConfigurationError(`buckets: expected a power of two from 2 to ${MAX_BUCKETS}`)
  }
  return count
}

/** Parses `advertised:port=host:port,...`. */
function parseMap(text: string | null): ReadonlyMap<string, HostPort> {
  const pairs = text === null ? [] : text.split(',').map((pair) => pair.split('='))
  return new Map(
    pairs.map(([from = '', to = '']) => {
      const advertised = parseHostPort(from, REDIS_PORT)
      return [`${advertised.host}:${advertised.port}`, parseHostPort(to, REDIS_PORT)]
    }),
  )
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new ConfigurationError('has a % that encodes nothing: a percent sign is written as %25')
  }
}
