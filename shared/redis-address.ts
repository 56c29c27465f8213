import { ConfigurationError } from './errors.ts'

/** Where Redis is: one server, or the master that a group of sentinels names. */
export type RedisAddress = ServerAddress | SentinelAddress

interface RedisLogin {
  readonly database: number
  /** Of the servers. */
  readonly username?: string
  readonly password?: string
  /** For the servers and the sentinels. */
  readonly tls: boolean
}

interface ServerAddress extends RedisLogin {
  readonly kind: 'server'
  readonly host: string
  readonly port: number
}

export interface SentinelAddress extends RedisLogin {
  readonly kind: 'sentinel'
  /** What the sentinels call the master. */
  readonly master: string
  readonly sentinels: readonly { readonly host: string; readonly port: number }[]
  /** The sentinels often have none. */
  readonly sentinelPassword?: string
}

/** How an address is written, for messages and documentation. */
const REDIS_URL_FORMS =
  'redis[s]://[user:password@]host[:port][/database] or redis[s]-sentinel://[user:password@]host[:port][,host...][/database][?sentinelPassword=...]#master'

const URL_OF =
  /^redis(?<tls>s?)(?<sentinel>-sentinel)?:\/\/(?:(?<user>[^:@/?#]*)(?::(?<password>[^@/?#]*))?@)?(?<hosts>[^@/?#]+)(?:\/(?<database>\d*))?(?:\?(?<query>[^#]*))?(?:#(?<master>.+))?$/
const HOST = /^(?<host>\[[\da-f:.]+\]|[^:\s]+)(?::(?<port>\d{1,5}))?$/i

const REDIS_PORT = 6379
const SENTINEL_PORT = 26379

/** Why a parameter that a driver takes is rejected here. */
const HINTS: Readonly<Record<string, string>> = {
  keyPrefix: 'CACHE_PREFIX is the prefix of every key',
  db: 'write the database as the path',
  username: 'write it before the @',
  password: 'write it before the @',
  tls: 'write rediss://',
}

/**
 * Parses the address of a Redis. Every parameter that is not supported is rejected by name: the
 * driver has options that change which keys a command works on.
 * @throws ConfigurationError that says what is wrong, without any value that may be secret.
 */
export function parseRedisUrl(text: string): RedisAddress {
  const groups = URL_OF.exec(text)?.groups
  if (!groups) throw new ConfigurationError(`is not ${REDIS_URL_FORMS}`)
  const { tls, sentinel, user, password, hosts = '', database, query, master } = groups
  const isSentinel = sentinel !== undefined
  const parameters = new URLSearchParams(query)
  for (const name of parameters.keys()) {
    if (isSentinel && name === 'sentinelPassword') continue
    const hint = HINTS[name] ?? `supported is ${REDIS_URL_FORMS}`
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
