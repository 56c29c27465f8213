import { Connection, type ConnectionConfig } from 'pg'

/**
 * The connection below a client that runs a statement before the client learns that it is connected:
 * for a library that opens its client by itself and lends it to nobody. A startup parameter would
 * not do, since poolers reject those that they do not know.
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
