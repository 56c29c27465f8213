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

/** Additions to Kysely's dialect. */
export interface PinnedOptions {
  /** SET LOCAL statements for every transaction. */
  readonly settingsSql: string
  /** Further SET LOCAL statements for each access mode. */
  readonly limitsSql?: Readonly<Record<AccessMode, string>>
  /** Runs before a connection is requested; throws if too many requests wait for one. */
  readonly admit?: () => void
}

type AccessMode = NonNullable<TransactionSettings['accessMode']>

/** The Postgres dialect with fixed settings in every transaction. */
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
 * Sends BEGIN and the settings of the transaction in one round trip. BEGIN always states isolation
 * level and access mode, since the role or the database may have other defaults.
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
      // Kysely rolls back only transactions that began successfully.
      await connection.executeQuery(CompiledQuery.raw('rollback')).catch(() => undefined)
      throw error
    }
  }
}
