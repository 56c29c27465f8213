/** Where Redis is: one server, or the master that a group of sentinels names. */
export type RedisAddress =
  | {
      readonly kind: 'server'
      readonly url: string
      readonly host: string
      readonly port: number
      readonly database: number
    }
  | SentinelAddress

export interface SentinelAddress {
  readonly kind: 'sentinel'
  /** What the sentinels call the master. */
  readonly master: string
  readonly sentinels: readonly { readonly host: string; readonly port: number }[]
  readonly database: number
  /** Of the servers; `sentinelPassword` is that of the sentinels, which often have none. */
  readonly username?: string
  readonly password?: string
  readonly sentinelPassword?: string
  /** For the servers and the sentinels. */
  readonly tls: boolean
}

/** How an address is written, for messages and documentation. */
export const REDIS_URL_FORMS =
  'redis[s]://[user:password@]host[:port][/database] or redis[s]-sentinel://[user:password@]host[:port][,host...][/database][?sentinelPassword=...]#master'

const SENTINEL_URL =
  /^redis(?<tls>s?)-sentinel:\/\/(?:(?<user>[^:@/]*)(?::(?<password>[^@/]*))?@)?(?<hosts>[^@/?#]+)(?:\/(?<database>\d*))?(?:\?(?<query>[^#]*))?#(?<master>.+)$/
const HOST = /^(?<host>\[[\da-f:]+\]|[^:\s]+)(?::(?<port>\d{1,5}))?$/i

const REDIS_PORT = 6379
const SENTINEL_PORT = 26379

/** Reads an address; `null` when it is none. Several hosts are more than the standard's URL can say. */
export function parseRedisUrl(text: string): RedisAddress | null {
  if (/^rediss?-sentinel:/.test(text)) return parseSentinels(text)
  if (!/^rediss?:\/\//.test(text) || !URL.canParse(text)) return null
  const { hostname, port, pathname } = new URL(text)
  const database = Number(pathname.slice(1))
  if (!/^[^,]+$/.test(hostname) || !Number.isInteger(database)) return null
  return { kind: 'server', url: text, host: hostname, port: Number(port) || REDIS_PORT, database }
}

function parseSentinels(text: string): SentinelAddress | null {
  const groups = SENTINEL_URL.exec(text)?.groups
  if (!groups) return null
  const { tls, user, password, hosts = '', database, query, master = '' } = groups
  const found = hosts.split(',').map((host) => HOST.exec(host)?.groups)
  const sentinels = found.flatMap((one) =>
    one?.host === undefined
      ? []
      : [{ host: one.host.replace(/^\[|\]$/g, ''), port: Number(one.port ?? SENTINEL_PORT) }],
  )
  if (sentinels.length < found.length) return null
  const sentinelPassword = new URLSearchParams(query).get('sentinelPassword')
  try {
    return {
      kind: 'sentinel',
      master: decodeURIComponent(master),
      sentinels,
      database: Number(database ?? 0),
      tls: tls === 's',
      ...(user && { username: decodeURIComponent(user) }),
      ...(password && { password: decodeURIComponent(password) }),
      ...(sentinelPassword && { sentinelPassword }),
    }
  } catch {
    // A per cent sign that encodes nothing.
    return null
  }
}

/** Names the place and the database in it, without secrets: the same for all who give the same address. */
export function nameRedis(text: string): string {
  const address = parseRedisUrl(text)
  if (address === null) throw new Error('not the address of a Redis')
  const place =
    address.kind === 'server'
      ? `${address.host}:${address.port}`
      : `${address.master}@${address.sentinels
          .map(({ host, port }) => `${host}:${port}`)
          .toSorted()
          .join()}`
  return `${place}/${address.database}`
}
