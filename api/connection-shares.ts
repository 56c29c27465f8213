/** The connections of one process by purpose. */
export interface ConnectionShares {
  /** Connections of the read pool. */
  readonly reads: number
  /** Connections of the write pool. */
  readonly writes: number
  /** Maximum number of concurrent loads. Less than `reads`, so that health checks find a connection. */
  readonly loads: number
  /** Maximum number of concurrent searches and exports among the loads; they are never cached. */
  readonly expensiveReads: number
}

/** Configured numbers of connections. If one is undefined it becomes a share of the pool. */
export interface ConnectionSettings {
  readonly pool: number
  readonly loads: number | undefined
  readonly writes: number | undefined
}

/** One connection for loads, one for writes, one reserved. */
export const MIN_CONNECTIONS = 3
/** Read connections reserved for health checks, consistency tokens and `monitorDatabase`. */
const RESERVED = 1

/**
 * Divides the connections of a process between reads and writes, so that writes that wait for locks
 * do not block reads. Returns undefined if `loads` and `writes` together do not fit into the pool.
 */
export function shareConnections({
  pool,
  loads,
  writes = Math.max(1, Math.floor(pool / 4)),
}: ConnectionSettings): ConnectionShares | undefined {
  const reads = pool - writes
  const atOnce = loads ?? reads - RESERVED
  if (atOnce < 1 || atOnce + RESERVED > reads) return undefined
  return { reads, writes, loads: atOnce, expensiveReads: Math.max(1, Math.floor(atOnce / 4)) }
}
