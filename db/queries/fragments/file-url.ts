import { type Expression, sql } from 'kysely'

/** Returns the URL path of a stored file, without a host; null without a file. */
export const fileUrl = (path: Expression<string | null>) =>
  sql<string | null>`'/files/' || nullif(${path}, '')`
