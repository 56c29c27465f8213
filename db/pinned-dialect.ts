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

/** Postgres, with settings that are part of every transaction. */
export class PinnedDialect extends PostgresDialect {
  readonly #createDriver: () => Driver

  constructor(config: PostgresDialectConfig, settingsSql: string) {
    super(config)
    this.#createDriver = () => new PinnedDriver(config, settingsSql)
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
  readonly #settingsSql: string

  constructor(config: PostgresDialectConfig, settingsSql: string) {
    super(config)
    this.#settingsSql = settingsSql
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
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
    try {
      await connection.executeQuery(
        CompiledQuery.raw(
          `begin isolation level ${isolationLevel} ${accessMode}; ${this.#settingsSql}`,
        ),
      )
    } catch (error) {
      // Kysely rolls back only what began.
      await connection.executeQuery(CompiledQuery.raw('rollback')).catch(() => undefined)
      throw error
    }
  }
}
