import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  PostgresDialect,
  type PostgresDialectConfig,
  PostgresDriver,
  type TransactionSettings,
} from 'kysely'
import { explainConnectionError } from './connection.ts'

/** What a dialect does beyond Kysely's. */
export interface PinnedOptions {
  /** Settings that are part of every transaction. */
  readonly settingsSql: string
  /** Further settings of transactions that only read, and of those that may write. */
  readonly limitsSql?: Readonly<Record<AccessMode, string>>
  /** Runs before a connection is requested, and throws where too many requests wait for one. */
  readonly admit?: () => void
}

type AccessMode = NonNullable<TransactionSettings['accessMode']>

/** Postgres, with settings that are part of every transaction. */
export class PinnedDialect extends PostgresDialect {
  readonly #createDriver: () => Driver

  constructor(config: PostgresDialectConfig, options: PinnedOptions) {
    super(config)
    this.#createDriver = () => new PinnedDriver(config, options)
  }

  override createDriver(): Driver {
    return this.#createDriver()
  }
}

/**
 * Begins each transaction together with its settings, in one round trip. The isolation level and
 * the access mode are always named, since the role or the database may have other defaults.
 */
class PinnedDriver extends PostgresDriver {
  readonly #options: PinnedOptions

  constructor(config: PostgresDialectConfig, options: PinnedOptions) {
    super(config)
    this.#options = options
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    this.#options.admit?.()
    try {
      return await super.acquireConnection()
    } catch (error) {
      throw explainConnectionError(error)
    }
  }

  override async beginTransaction(
    connection: DatabaseConnection,
    { isolationLevel = 'read committed', accessMode = 'read write' }: TransactionSettings,
  ): Promise<void> {
    const { settingsSql, limitsSql } = this.#options
    const limits = limitsSql === undefined ? '' : `; ${limitsSql[accessMode]}`
    try {
      await connection.executeQuery(
        CompiledQuery.raw(
          `begin isolation level ${isolationLevel} ${accessMode}; ${settingsSql}${limits}`,
        ),
      )
    } catch (error) {
      // Kysely rolls back only what began.
      await connection.executeQuery(CompiledQuery.raw('rollback')).catch(() => undefined)
      throw error
    }
  }
}
