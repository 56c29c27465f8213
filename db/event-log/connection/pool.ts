import { Kysely } from 'kysely'
import { Pool } from 'pg'
import { clientConfig, localSettingsSql } from './connection.ts'
import { parseDatabaseUrl } from './database-url.ts'
import { PinnedDialect } from './pinned-dialect.ts'
import { setLocalSql } from './settings.ts'

/** How a program of this application opens a connection pool. */
export interface DatabaseOptions {
  readonly url: string
  readonly poolSize: number
  /** `application_name` in `pg_stat_activity`. */
  readonly applicationName: string
  /**
   * Called when a connection breaks, in use or idle; for logging only. A query on the connection
   * fails, and the pool opens another one.
   */
  readonly onConnectionError?: (error: Error) => void
  /** By default the program limits neither statements nor lock waits. */
  readonly limits?: DatabaseLimits
  /** How many requests may wait for a connection; further ones fail. Unlimited by default. */
  readonly maxWaiting?: number
}

/** Timeouts of Postgres, in milliseconds. */
export interface DatabaseLimits {
  /** Statement timeout of a read-only transaction. */
  readonly loadMs: number
  /** Statement timeout of a read-write transaction. */
  readonly writeMs: number
  /** Lock timeout in both. */
  readonly lockMs: number
}

/** Thrown if too many requests wait for a connection of the pool. */
class PoolBusy extends Error {
  override readonly name = 'PoolBusy'
  /** too_many_connections */
  readonly code = '53300'
}

/** Counts of a pool's connections. */
export interface PoolUse {
  readonly busy: number
  readonly idle: number
  /** Queries that wait for a connection. */
  readonly waiting: number
}

const CONNECT_TIMEOUT_MS = 5_000
const pools = new WeakMap<object, Pool>()

/**
 * Returns a pool of connections to Postgres. It connects at the first query; `destroy()` closes it.
 *
 * Each transaction sets the settings that its statements depend on. A pooler in transaction mode may
 * give the session to other clients between two transactions. So a statement outside a transaction
 * must not depend on any setting: it qualifies every name with a schema, including `pg_catalog`.
 */
export function openDatabase<DB>(options: DatabaseOptions): Kysely<DB> {
  const { url, applicationName } = options
  const pool = new Pool({
    ...clientConfig(parseDatabaseUrl(url), {
      applicationName,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
    }),
    max: options.poolSize,
  })

  // Node ends the process for an error event without a listener. The pool listens only to idle
  // connections (and emits their errors itself), so each connection gets a permanent listener.
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
        if (pool.waitingCount >= maxWaiting) throw new PoolBusy('too many waiting requests')
      },
    },
  )
  const db = new Kysely<DB>({ dialect })
  pools.set(db, pool)
  return db
}

const limitsSql = ({ loadMs, writeMs, lockMs }: DatabaseLimits) => {
  const limited = (statementMs: number) =>
    setLocalSql({ statement_timeout: String(statementMs), lock_timeout: String(lockMs) })
  return { 'read only': limited(loadMs), 'read write': limited(writeMs) }
}

/** Returns the current connection counts of a database that `openDatabase` opened. */
export function poolUse<DB>(db: Kysely<DB>): PoolUse {
  const { totalCount = 0, idleCount: idle = 0, waitingCount: waiting = 0 } = pools.get(db) ?? {}
  return { busy: totalCount - idle, idle, waiting }
}
