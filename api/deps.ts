import type { Kysely } from 'kysely'
import type { Logger } from 'winston'
import type { Database } from '../db/schema.ts'
import type { SendAnswer } from './http/answer.ts'
import type { Authentication } from './http/authenticate.ts'
import type { RequestReader } from './http/request-reader.ts'
import type { ExpensiveReads } from './http/expensive-reads.ts'

/** What every router is given. */
export interface AppDeps extends Authentication {
  readonly reader: RequestReader
  /** For writes, each in one transaction. Reads go through `reader`. */
  readonly db: Kysely<Database>
  readonly logger: Logger
  /** Sends what `reader` answered. */
  readonly sendAnswer: SendAnswer
  readonly expensive: ExpensiveReads
}
