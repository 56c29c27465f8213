import type { Kysely } from 'kysely'
import { type DatabaseOptions, openDatabase as openPool } from './event-log/index.ts'
import type { Database } from './schema.ts'

/** Opens a pool of connections to the database of this application, see `openPool`. */
export const openDatabase = (options: DatabaseOptions): Kysely<Database> =>
  openPool<Database>(options)
