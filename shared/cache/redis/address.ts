import { ConfigurationError } from '../../../db/event-log/index.ts'

/** Address of Redis: one server, or the master that a group of sentinels reports. */
export type RedisAddress = ServerAddress | SentinelAddress

interface RedisLogin {
  readonly database: number
  /** Login for the servers, not for the sentinels. */
  readonly username?: string
  readonly password?: string
  /** Applies to the servers and the sentinels. */
  readonly tls: boolean
}

interface ServerAddress extends RedisLogin {
  readonly kind: 'server'
  readonly host: string
  readonly port: number
}

export interface SentinelAddress extends RedisLogin {
  readonly kind: 'sentinel'
  /** Name of the master in the configuration of the sentinels. */
  readonly master: string
  readonly sentinels: readonly { readonly host: string; readonly port: number }[]
  /** Often not needed. */
  readonly sentinelPassword?: string
}

/** Syntax of an address, for messages and documentation. */
const REDIS_URL_FORMS =
  'redis[s]://[user:password@]host[:port][/database] or redis[s]-sentinel://[user:password@]host[:port][,host...][/database][?sentinelPassword=...]#master'

const URL_OF =
  /^redis(?<tls>s?)(?<sentinel>-sentinel)?:\/\/(?:(?<user>[^:@/?#]*)(?::(?<password>[^@/?#]*))?@)?(?<hosts>[^@/?#]+)(?:\/(?<database>\d*))?(?:\?(?<query>[^#]*))?(?:#(?<master>.+))?$/
const HOST = /^(?<host>\[[\da-f:.]+\]|[^:\s]+)(?::(?<port>\d{1,5}))?$/i

const REDIS_PORT = 6379
const SENTINEL_PORT = 26379

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
  if (!groups) throw new ConfigurationError(`is not ${REDIS_URL_FORMS}`)
  const { tls, sentinel, user, password, hosts = '', database, query, master } = groups
  const isSentinel = sentinel !== undefined
  const parameters = new URLSearchParams(query)
  for (const name of parameters.keys()) {
    if (isSentinel && name === 'sentinelPassword') continue
    const hint = HINTS[name] ?? `write ${REDIS_URL_FORMS}`
    throw new ConfigurationError(`the parameter ${JSON.stringify(name)} is not supported: ${hint}`)
  }
  const addresses = hosts.split(',').flatMap((part) => {
    const { host, port } = HOST.exec(part)?.groups ?? {}
    if (host === undefined || Number(port ?? 1) > 65_535) return []
    const usual = isSentinel ? SENTINEL_PORT : REDIS_PORT
    return [{ host: host.replace(/^\[|\]$/g, ''), port: Number(port ?? usual) }]
  })
  const [first] = addresses
  if (
    !first ||
    addresses.length < hosts.split(',').length ||
    isSentinel !== (master !== undefined)
  ) {
    throw new ConfigurationError(`is not ${REDIS_URL_FORMS}`)
  }
  const login: RedisLogin = {
    database: Number(database ?? 0),
    tls: tls === 's',
    ...(user && { username: decode(user) }),
    ...(password && { password: decode(password) }),
  }
  if (master === undefined) {
    if (addresses.length > 1) throw new ConfigurationError(`is not ${REDIS_URL_FORMS}`)
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

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new ConfigurationError('has a % that encodes nothing: a percent sign is written as %25')
  }
}
