import type { ClusterAddress, HostPort } from './address.ts'
import {
  type ClusterView,
  masterOf,
  nameOf,
  readClusterView,
  serverNameOf,
} from './cluster-view.ts'
import { openConnection, type OpenRedisOptions, type Redis } from './redis.ts'

/** Connections to the masters of a Redis Cluster that serve given slots. */
export interface Cluster extends Disposable {
  /**
   * Returns the connection to the master of a slot; `null` while it is not known. It may be down. When the
   * slot moves to another master, another connection is returned.
   */
  connectionOf(slot: number): Redis | null
  /** Connections to all of these masters. */
  readonly masters: readonly Redis[]
  /** Ids of the nodes, as last seen; empty before the first view. */
  readonly nodeIds: readonly string[]
  /** Asks for the masters again soon, as after a reply that a slot has moved. */
  refresh(): void
}

export interface OpenClusterOptions extends Pick<OpenRedisOptions, 'name' | 'commandTimeoutMs'> {
  readonly slots: readonly number[]
  /** Called when the connection of a slot is another one, opens or closes. */
  readonly onChange: () => void
  /** Called with the last error of a connection; `not a cluster` if the server is none. */
  readonly onError: (error: Error, kind: 'connection' | 'not a cluster') => void
}

const REFRESH_EVERY_MS = 1_000
/** Pause while a master is not connected, and shortest pause between two refreshes. */
const REFRESH_MIN_MS = 100

/**
 * Connects to the known nodes, asks them for the masters, and connects to these.
 *
 * The driver's own cluster client follows redirections and queues commands. Here each command goes to one
 * known connection or fails, because a watermark does not describe the entries of another node.
 */
export function openCluster(address: ClusterAddress, options: OpenClusterOptions): Cluster {
  const { slots, onChange, onError } = options
  const connections = new Map<string, Redis>()
  const masters = new Map<number, HostPort>()
  const seeds = new Set(address.nodes.map(nameOf))
  let nodeIds: readonly string[] = []
  let isClosed = false
  let isRefreshing = false
  let timer: NodeJS.Timeout | undefined

  function connect(node: HostPort): void {
    const name = nameOf(node)
    if (connections.has(name)) return
    const { database, tls, username, password } = address
    const serverName = serverNameOf(node, address)
    const redis = openConnection(
      {
        kind: 'server',
        ...node,
        database,
        tls,
        ...(username !== undefined && { username }),
        ...(password !== undefined && { password }),
        ...(serverName !== undefined && { serverName }),
      },
      {
        name: options.name,
        ...(options.commandTimeoutMs !== undefined && {
          commandTimeoutMs: options.commandTimeoutMs,
        }),
        isClusterNode: true,
        onState(state, error) {
          if (error) onError(error, 'connection')
          onChange()
          if (!isClosed) schedule(state === 'up' ? 0 : REFRESH_MIN_MS)
        },
      },
    )
    // Each bucket listens.
    redis.setMaxListeners(0)
    connections.set(name, redis)
  }

  async function readViews(): Promise<readonly ClusterView[]> {
    const ready = [...connections.values()].filter(({ status }) => status === 'ready')
    const results = await Promise.allSettled(ready.map((one) => readClusterView(one, address.map)))
    for (const result of results) {
      if (result.status === 'fulfilled') continue
      const { message } = result.reason as Error
      if (/cluster support disabled/i.test(message)) {
        onError(new Error('this server does not belong to a Redis Cluster'), 'not a cluster')
      }
    }
    return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  }

  async function refresh(): Promise<void> {
    isRefreshing = true
    const views = await readViews()
    isRefreshing = false
    if (isClosed) return
    nodeIds = views[0]?.nodeIds ?? nodeIds
    let hasChanged = false
    for (const slot of slots) {
      const current = masters.get(slot) ?? null
      const found = masterOf(views, slot, current)
      // While no node answers, the last known master stays.
      if (found === null || (current !== null && nameOf(found) === nameOf(current))) continue
      masters.set(slot, found)
      connect(found)
      hasChanged = true
    }
    if (hasChanged) {
      disconnectOthers()
      onChange()
    }
    schedule(isConnected() ? REFRESH_EVERY_MS : REFRESH_MIN_MS)
  }

  function disconnectOthers(): void {
    const used = new Set([...masters.values()].map(nameOf))
    for (const [name, redis] of connections) {
      if (used.has(name) || seeds.has(name)) continue
      connections.delete(name)
      redis.disconnect()
    }
  }

  const connectionOf = (slot: number): Redis | null => {
    const master = masters.get(slot)
    return master === undefined ? null : (connections.get(nameOf(master)) ?? null)
  }
  const isConnected = () => slots.every((slot) => connectionOf(slot)?.status === 'ready')

  function schedule(afterMs: number): void {
    if (isClosed || isRefreshing) return
    clearTimeout(timer)
    timer = setTimeout(() => void refresh(), afterMs)
    timer.unref()
  }

  for (const node of address.nodes) connect(node)
  schedule(REFRESH_MIN_MS)

  return {
    connectionOf,
    get masters() {
      return [...new Set(slots.flatMap((slot) => connectionOf(slot) ?? []))]
    },
    get nodeIds() {
      return nodeIds
    },
    refresh: () => schedule(0),
    [Symbol.dispose]() {
      isClosed = true
      clearTimeout(timer)
      for (const redis of connections.values()) redis.disconnect()
    },
  }
}
