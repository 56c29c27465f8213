import { isIP } from 'node:net'
import type { ClusterAddress, HostPort } from './address.ts'
import type { Redis } from './redis.ts'

/** Ranges of slots and their masters, as one node of a Redis Cluster sees them. */
export interface ClusterView {
  readonly ranges: readonly {
    readonly first: number
    readonly last: number
    readonly master: HostPort
  }[]
  /** Ids of all nodes that serve slots, replicas included. */
  readonly nodeIds: readonly string[]
}

/** Longest wait for one node. Others answer meanwhile. */
const TIMEOUT_MS = 500

/**
 * Asks a node for the masters and their slots, and maps the advertised addresses.
 * @throws Error if the node does not answer in time, or does not belong to a cluster.
 */
export async function readClusterView(
  node: Redis,
  map: ClusterAddress['map'],
): Promise<ClusterView> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('a node does not answer')), TIMEOUT_MS)
  })
  try {
    const reply = await Promise.race([node.call('CLUSTER', 'SLOTS'), late])
    const slots = reply as SlotsReply
    const ranges = slots.map(([first, last, [host, port]]) => {
      // An empty address means the one that was asked.
      const advertised = host ? { host, port } : { host: node.options.host ?? '', port }
      return { first, last, master: map.get(nameOf(advertised)) ?? advertised }
    })
    const ids = slots.flatMap(([, , ...nodes]) => nodes.flatMap(([, , id]) => id ?? []))
    return { ranges, nodeIds: [...new Set(ids)].toSorted() }
  } finally {
    clearTimeout(timer)
  }
}

type SlotsReply = readonly (readonly [
  first: number,
  last: number,
  ...nodes: [master: NodeReply, ...replicas: NodeReply[]],
])[]

type NodeReply = readonly [host: string | null, port: number, id?: string]

/**
 * Returns the master of a slot that most views name; `null` if none names one. So a master that was
 * separated from the others does not win while it still considers itself one. A tie goes to `current`.
 */
export function masterOf(
  views: readonly ClusterView[],
  slot: number,
  current: HostPort | null,
): HostPort | null {
  const votes = new Map<string, { readonly master: HostPort; count: number }>()
  for (const view of views) {
    const master = view.ranges.find(({ first, last }) => first <= slot && slot <= last)?.master
    if (master === undefined) continue
    const vote = votes.get(nameOf(master)) ?? { master, count: 0 }
    vote.count++
    votes.set(nameOf(master), vote)
  }
  const most = Math.max(...[...votes.values()].map(({ count }) => count))
  const best = [...votes.values()].filter(({ count }) => count === most)
  const kept = best.find(({ master }) => current !== null && nameOf(master) === nameOf(current))
  return (kept ?? best[0])?.master ?? null
}

/** Returns the name of an address: `host:port`. */
export const nameOf = ({ host, port }: HostPort) => `${host}:${port}`

/** Returns the name in the certificate of a node that is addressed by number: that of the known nodes. */
export const serverNameOf = ({ host }: HostPort, { nodes }: ClusterAddress): string | undefined =>
  isIP(host) === 0 ? undefined : nodes.find((node) => isIP(node.host) === 0)?.host
