/** How many connections of a process may do what. */
export interface ConnectionShares {
  /** Connections that read, in loads or beside them. */
  readonly reads: number
  /** Connections that writes use, and nothing else does. */
  readonly writes: number
  /** How many loads may run at once: fewer than `reads`, so that health checks find a connection. */
  readonly loads: number
  /** How many of these may be searches and exports, which no cache absorbs. */
  readonly expensiveReads: number
}

/** What may be set; undefined takes a share of the pool. */
export interface ConnectionSettings {
  readonly pool: number
  readonly loads: number | undefined
  readonly writes: number | undefined
}

/** One for loads, one for writes, one reserved. */
export const MIN_CONNECTIONS = 3
/** Read connections that loads leave to health checks, consistency tokens and the watch on the database. */
const RESERVED = 1

/**
 * Divides the connections of a process, so that writes that wait for locks leave all others to reads.
 * Undefined where loads and writes would leave none.
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
