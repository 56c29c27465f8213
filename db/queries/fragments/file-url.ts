import { type Expression, sql } from 'kysely'

/** Where a stored file is served, the same on every host; null where there is none. */
export const fileUrl = (path: Expression<string | null>) =>
  sql<string | null>`'/files/' || nullif(${path}, '')`
