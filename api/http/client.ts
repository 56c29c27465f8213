import type { IncomingMessage } from 'node:http'
import proxyaddr from 'proxy-addr'
import { networkOf, parseAddress } from './ip-address.ts'

/** Which proxies are believed: none, the nearest so many, or those at these addresses. */
export type TrustProxy = false | number | readonly string[]

/** Who is at the other end, as far as trusted proxies tell. */
export interface Client {
  /** The IPv4 address or the IPv6 /64 of a client, which it cannot choose. */
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
    network: (req) => networkOf(clientAddress(req, trusts)),
    isSecure(req) {
      if ('encrypted' in req.socket) return true
      return isBehindProxy(req) && firstOf(req.headers['x-forwarded-proto']) === 'https'
    },
  }
}

/** The address of the peer; empty for a socket without one. */
function peer({ socket: { remoteAddress = '' } }: IncomingMessage): string {
  return parseAddress(remoteAddress) ?? ''
}

/**
 * The last address in the chain of proxies that no trusted proxy has: the peer, then what the
 * proxies wrote into `X-Forwarded-For`, from the end. An entry that is no address ends the chain:
 * the client then has the address of the proxy that wrote it, and shares the limits of that proxy.
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

/** Whether the proxy at an address, so many hops before the nearest one, is trusted. */
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
