import { Connection, type ConnectionConfig } from 'pg'

/**
 * A connection that runs a statement before it reports to its client that it is ready. For a library
 * that opens its own client and does not expose it. A startup parameter does not work, since
 * poolers reject parameters that they do not know.
 */
export class ConfiguredConnection extends Connection {
  readonly #statement: string
  #stage: 'starting' | 'configuring' | 'configured' = 'starting'

  /** The statement must not return rows. */
  constructor(config: ConnectionConfig, statement: string) {
    super(config)
    this.#statement = statement
  }

  override emit(event: string | symbol, ...values: unknown[]): boolean {
    if (this.#stage === 'configured') return super.emit(event, ...values)
    if (this.#stage === 'starting') {
      if (event !== 'readyForQuery') return super.emit(event, ...values)
      this.#stage = 'configuring'
      this.query(this.#statement)
      return true
    }
    if (event === 'commandComplete') return true
    if (event === 'readyForQuery' || event === 'errorMessage') this.#stage = 'configured'
    return super.emit(event, ...values)
  }
}
