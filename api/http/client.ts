import type { IncomingMessage } from 'node:http'
import proxyaddr from 'proxy-addr'
import { networkOf, parseAddress } from './ip-address.ts'

/** The trusted proxies: none, a number of hops, or a list of addresses and networks. */
export type TrustProxy = false | number | readonly string[]

/** Properties of the client of a request, according to trusted proxies. */
export interface Client {
  /** Returns the client's IPv4 address or IPv6 /64. The client cannot forge it. */
  network(req: IncomingMessage): string
  /** Whether the client uses TLS. */
  isSecure(req: IncomingMessage): boolean
  /** Whether the peer of the socket is a trusted proxy. */
  isBehindProxy(req: IncomingMessage): boolean
}

export function createClient(trustProxy: TrustProxy): Client {
  const trusts = trustFunction(trustProxy)
  const isBehindProxy = (req: IncomingMessage) => trusts(peer(req), 0)
  return {
    isBehindProxy,
    network: (req) => networkOf(clientAddress(req, trusts)),
    isSecure(req) {
      if ('encrypted' in req.socket) return true
      return isBehindProxy(req) && firstOf(req.headers['x-forwarded-proto']) === 'https'
    },
  }
}

/** Returns the address of the socket's peer; empty if it has none. */
function peer({ socket: { remoteAddress = '' } }: IncomingMessage): string {
  return parseAddress(remoteAddress) ?? ''
}

/**
 * Returns the first address that is not a trusted proxy: of the peer, then of the entries of
 * `X-Forwarded-For` from the end. At an entry that is not an address it returns the address of the
 * proxy that wrote the entry; the client then shares the limits of that proxy.
 */
function clientAddress(req: IncomingMessage, trusts: Trusts): string {
  let address = peer(req)
  const forwarded = req.headers['x-forwarded-for']
  if (forwarded === undefined || !trusts(address, 0)) return address
  const written = String(forwarded).split(',')
  for (let hop = 1; written.length > 0; hop++) {
    const next = parseAddress(written.pop() ?? '')
    if (next === null) return address
    address = next
    if (!trusts(address, hop)) return address
  }
  return address
}

/**
 * Whether the proxy at an address is trusted. `hop` is 0 for the peer and counts towards the
 * client.
 */
type Trusts = (address: string, hop: number) => boolean

function trustFunction(trustProxy: TrustProxy): Trusts {
  if (trustProxy === false) return () => false
  if (typeof trustProxy === 'number') return (_, hop) => hop < trustProxy
  return proxyaddr.compile([...trustProxy])
}

const firstOf = (header: string | string[] | undefined) =>
  String(header ?? '')
    .split(',')[0]
    ?.trim()
