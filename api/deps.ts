import type { Kysely } from 'kysely'
import type { Logger } from 'winston'
import type { Database } from '../db/schema.ts'
import type { SendAnswer } from './http/answer.ts'
import type { Authentication } from './http/authenticate.ts'
import type { CompressResponse } from './http/compress-response.ts'
import type { SendReads } from './http/json.ts'
import type { ReadForm } from './http/form.ts'
import type { RequestReader } from './http/request-reader.ts'
import type { FileChanges } from './files/file-changes.ts'
import type { ExpensiveReads } from './http/expensive-reads.ts'

/** Dependencies of all endpoints. */
export interface AppDeps extends Authentication, SendReads {
  readonly reader: RequestReader
  /** The pool for writes; each write is one transaction. Reads use `reader`. */
  readonly db: Kysely<Database>
  readonly logger: Logger
  /** Sends an answer of `reader`. */
  readonly sendAnswer: SendAnswer
  readonly compressResponse: CompressResponse
  readonly expensive: ExpensiveReads
  readonly readForm: ReadForm
  /** Begins the file changes of a write. */
  readonly beginFileChanges: () => FileChanges
}
