import { isIPv4, isIPv6 } from 'node:net'

/** An address with a port. */
const PORT = /^(.+):\d{1,5}$/
const BRACKETED = /^\[([^\]]*)\](?::\d{1,5})?$/
const MAX_LENGTH = 100
const GROUPS = 8

/**
 * Returns the address in a text of a proxy or a socket, without port, brackets and zone: such as
 * `203.0.113.7:50001`, `[2001:db8::1]:443`, `fe80::1%eth0`, `::ffff:203.0.113.7`. An IPv4-mapped
 * address becomes the IPv4 address. Returns null for any other text.
 */
export function parseAddress(written: string): string | null {
  if (isIPv4(written)) return written
  if (written.length > MAX_LENGTH) return null
  const text = written.trim().replace(/^"(.*)"$/, '$1')
  const inBrackets = BRACKETED.exec(text)?.[1]
  if (inBrackets !== undefined) return isIPv6(inBrackets) ? withoutZone(inBrackets) : null
  if (isIPv4(text)) return text
  // Before the search for a port: `2001:db8::1:8080` is an address without a port.
  if (isIPv6(text)) return withoutZone(text)
  const beforePort = PORT.exec(text)?.[1] ?? ''
  if (isIPv4(beforePort)) return beforePort
  return isIPv6(beforePort) ? withoutZone(beforePort) : null
}

/** Returns the network that one client controls: an IPv4 address, or the /64 of an IPv6 address. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address
  return `${groupsOf(address)
    .slice(0, GROUPS / 2)
    .map((group) => group.toString(16))
    .join(':')}::/64`
}

function withoutZone(address: string): string {
  const bare = address.split('%', 1)[0] ?? ''
  const groups = groupsOf(bare)
  if (groups.slice(0, 5).some((group) => group !== 0) || groups[5] !== 0xffff) return bare
  return groups
    .slice(6)
    .flatMap((group) => [group >> 8, group & 0xff])
    .join('.')
}

/** Returns the eight groups of an IPv6 address. The address may end with an IPv4 address. */
function groupsOf(address: string): number[] {
  const [head = '', tail] = address.split('::')
  const before = numbersOf(head)
  if (tail === undefined) return before
  const after = numbersOf(tail)
  const zeros = Array.from({ length: GROUPS - before.length - after.length }, () => 0)
  return [...before, ...zeros, ...after]
}

const numbersOf = (groups: string): number[] =>
  groups === ''
    ? []
    : groups.split(':').flatMap((group) => {
        if (!group.includes('.')) return Number.parseInt(group, 16)
        const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number)
        return [(a << 8) | b, (c << 8) | d]
      })
