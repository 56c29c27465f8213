import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import type { Database } from './schema.ts'

/** How a program of ours connects. */
export interface DatabaseOptions {
  readonly url: string
  readonly poolSize: number
  /** What `pg_stat_activity` calls us. */
  readonly applicationName: string
  /** Postgres cancels a statement that runs longer; without it, none. */
  readonly statementTimeoutMs?: number
  /**
   * Told when a connection breaks, in use or not. A query on it fails by itself, and the pool
   * connects anew: this is for the log.
   */
  readonly onConnectionError?: (error: Error) => void
}

/** How the connections of a pool are used. */
export interface PoolUse {
  readonly busy: number
  readonly idle: number
  /** Queries that wait for a connection. */
  readonly waiting: number
}

const CONNECT_TIMEOUT_MS = 5_000
const pools = new WeakMap<Kysely<Database>, Pool>()

/** A pool of connections to Postgres. Connects at the first query; `destroy()` closes it. */
export function openDatabase(options: DatabaseOptions): Kysely<Database> {
  const pool = new Pool({
    connectionString: options.url,
    max: options.poolSize,
    application_name: options.applicationName,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    ...(options.statementTimeoutMs !== undefined && {
      statement_timeout: options.statementTimeoutMs,
    }),
  })

  // Node ends the process for an error event that nobody hears. The pool listens to its idle
  // connections only (and repeats their errors as its own), so each one gets a listener for life.
  pool.on('connect', (client) => {
    client.on('error', (error) => options.onConnectionError?.(error))
  })
  pool.on('error', () => {})

  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
  pools.set(db, pool)
  return db
}

/** How the connections of what `openDatabase` opened are used now. */
export function poolUse(db: Kysely<Database>): PoolUse {
  const { totalCount = 0, idleCount: idle = 0, waitingCount: waiting = 0 } = pools.get(db) ?? {}
  return { busy: totalCount - idle, idle, waiting }
}
