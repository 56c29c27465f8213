import { networkInterfaces } from 'node:os'

/** Addresses that listen on all interfaces. */
const ANY = ['0.0.0.0', '::']

/**
 * Returns the address at which other processes reach a port of this one: the given host, or the first
 * external IPv4 address if it listens on all interfaces.
 */
export function internalAddress(host: string, port: number): string {
  const external = Object.values(networkInterfaces())
    .flat()
    .find((found) => found?.family === 'IPv4' && !found.internal)?.address
  const reached = ANY.includes(host) ? (external ?? '127.0.0.1') : host
  return `http://${reached.includes(':') ? `[${reached}]` : reached}:${port}`
}
