import { Kysely } from 'kysely'
import { Pool } from 'pg'
import { clientConfig, localSettingsSql } from './connection.ts'
import { parseDatabaseUrl } from './database-url.ts'
import { PinnedDialect } from './pinned-dialect.ts'
import { setLocalSql } from './settings.ts'
import type { Database } from './schema.ts'

/** How a program of ours connects. */
export interface DatabaseOptions {
  readonly url: string
  readonly poolSize: number
  /** What `pg_stat_activity` calls us. */
  readonly applicationName: string
  /**
   * Told when a connection breaks, in use or not. A query on it fails by itself, and the pool
   * connects anew: this is for the log.
   */
  readonly onConnectionError?: (error: Error) => void
  /** By default no statement and no wait for a lock has a limit of ours. */
  readonly limits?: DatabaseLimits
  /** How many requests may wait for a connection; a further one fails. By default any number. */
  readonly maxWaiting?: number
}

/** How long Postgres may work on a statement, in milliseconds. */
export interface DatabaseLimits {
  /** A statement of a transaction that only reads. */
  readonly loadMs: number
  /** A statement of a transaction that may write. */
  readonly writeMs: number
  /** The wait for one lock, in either. */
  readonly lockMs: number
}

/** Too many requests wait for a connection of the pool. */
class PoolBusy extends Error {
  override readonly name = 'PoolBusy'
  /** As Postgres reports that there is no connection left. */
  readonly code = '53300'
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

/**
 * A pool of connections to Postgres. Connects at the first query; `destroy()` closes it.
 *
 * Each transaction sets for itself what its statements mean. A pooler in transaction mode may give
 * the session to others between two transactions, so a statement outside of one must not depend on
 * any setting: it names schemas, `pg_catalog` too.
 */
export function openDatabase(options: DatabaseOptions): Kysely<Database> {
  const { url, applicationName } = options
  const pool = new Pool({
    ...clientConfig(parseDatabaseUrl(url), {
      applicationName,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
    }),
    max: options.poolSize,
  })

  // Node ends the process for an error event that nobody hears. The pool listens to its idle
  // connections only (and repeats their errors as its own), so each one gets a listener for life.
  pool.on('connect', (client) => {
    client.on('error', (error) => options.onConnectionError?.(error))
  })
  pool.on('error', () => {})

  const { limits, maxWaiting = Infinity } = options
  const dialect = new PinnedDialect(
    { pool },
    {
      settingsSql: localSettingsSql(url),
      ...(limits && { limitsSql: limitsSql(limits) }),
      admit() {
        if (pool.waitingCount >= maxWaiting) throw new PoolBusy('too many requests wait')
      },
    },
  )
  const db = new Kysely<Database>({ dialect })
  pools.set(db, pool)
  return db
}

const limitsSql = ({ loadMs, writeMs, lockMs }: DatabaseLimits) => {
  const limited = (statementMs: number) =>
    setLocalSql({ statement_timeout: String(statementMs), lock_timeout: String(lockMs) })
  return { 'read only': limited(loadMs), 'read write': limited(writeMs) }
}

/** How the connections of what `openDatabase` opened are used now. */
export function poolUse(db: Kysely<Database>): PoolUse {
  const { totalCount = 0, idleCount: idle = 0, waitingCount: waiting = 0 } = pools.get(db) ?? {}
  return { busy: totalCount - idle, idle, waiting }
}
