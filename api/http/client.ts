import type { IncomingMessage } from 'node:http'
import { isIPv6 } from 'node:net'
import proxyaddr from 'proxy-addr'

/** Which proxies are believed: none, the nearest so many, or those at these addresses. */
export type TrustProxy = false | number | readonly string[]

/** Who is at the other end, as far as trusted proxies tell. */
export interface Client {
  /** The address that a client cannot choose; an IPv6 client owns its whole /64. */
  network(req: IncomingMessage): string
  isSecure(req: IncomingMessage): boolean
  /** Whether the nearest peer is a trusted proxy, so that its headers are believed. */
  isBehindProxy(req: IncomingMessage): boolean
}

export function createClient(trustProxy: TrustProxy): Client {
  const trusts = trustFunction(trustProxy)
  const isBehindProxy = (req: IncomingMessage) => trusts(peer(req), 0)
  return {
    isBehindProxy,
    network(req) {
      return networkOf(trustProxy === false ? peer(req) : proxyaddr(req, trusts))
    },
    isSecure(req) {
      if ('encrypted' in req.socket) return true
      return isBehindProxy(req) && firstOf(req.headers['x-forwarded-proto']) === 'https'
    },
  }
}

const peer = (req: IncomingMessage) => req.socket.remoteAddress ?? ''

function trustFunction(trustProxy: TrustProxy): (address: string, hop: number) => boolean {
  if (trustProxy === false) return () => false
  if (typeof trustProxy === 'number') return (_, hop) => hop < trustProxy
  return proxyaddr.compile([...trustProxy])
}

const firstOf = (header: string | string[] | undefined) =>
  String(header ?? '')
    .split(',')[0]
    ?.trim()

const MAX_ADDRESS_LENGTH = 45
const MAPPED_IPV4 = '::ffff:'

function networkOf(address: string): string {
  if (!address.includes(':')) return address.slice(0, MAX_ADDRESS_LENGTH)
  if (address.startsWith(MAPPED_IPV4) && address.includes('.')) {
    return address.slice(MAPPED_IPV4.length)
  }
  if (!isIPv6(address)) return address.slice(0, MAX_ADDRESS_LENGTH)
  const [head = '', tail] = address.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length
  const groups = [...before, ...Array.from({ length: zeros }, () => '0'), ...after]
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}
