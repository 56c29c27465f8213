import { createHash } from 'node:crypto'
import type pg from 'pg'
import { fileNames, type Files, filesSql } from './table-files.ts'

/** Lookups with more values are rare, and are not prepared. */
const FEW = 10

/**
 * Lock timeout of a lookup, below `deadlock_timeout` (1 s by default). A lookup can deadlock with a
 * transaction that locks tables exclusively. With this timeout the lookup fails before Postgres'
 * deadlock check can cancel the writer.
 */
const LOCK_TIMEOUT_MS = 200
/** Statement timeout of a lookup, so that the session pings in time. */
const LOOKUP_TIMEOUT_MS = 500

/**
 * Prepares a transaction that has read windows for lookups: enables sequential scans again, and sets
 * the timeouts of lookups. Plans stay generic: planning each lookup for its number of values doubled the
 * lag of 16 writers at 70 % of their throughput. Call it before `followLinks`.
 */
export async function beginLookups(client: pg.ClientBase): Promise<void> {
  await client.query(
    `select set_config('enable_seqscan', 'on', true), set_config('lock_timeout', '${LOCK_TIMEOUT_MS}', true),
            set_config('statement_timeout', '${LOOKUP_TIMEOUT_MS}', true)`,
  )
}

/**
 * Runs a lookup, which maps changed rows to entries, in the open transaction. The query receives one
 * array of text per column and returns one row of parameters per entry. Returns at most `limit + 1`
 * rows, so that the caller can detect a result above the limit.
 */
export async function followLinks(
  client: pg.ClientBase,
  query: string,
  values: readonly (readonly string[])[],
  limit: number,
): Promise<Record<string, string>[]> {
  const isFew = (values[0]?.length ?? 0) <= FEW
  const { rows } = await client.query<Record<string, unknown>>({
    ...(isFew && { name: nameOf(query) }),
    text: `select * from (${query}) as found limit ${limit + 1}`,
    values: [...values],
  })
  return rows.map((row) =>
    Object.fromEntries(Object.entries(row).map(([name, value]) => [name, String(value)])),
  )
}

/** Returns the current file of each table, independent of the snapshot of the open transaction. */
export async function readFiles(client: pg.ClientBase, tables: readonly string[]): Promise<Files> {
  const { rows } = await client.query<{ files: Files }>({
    name: 'invalidation-files',
    text: `select ${filesSql('$1')} as files`,
    values: [fileNames(tables)],
  })
  return rows[0]?.files ?? []
}

const names = new Map<string, string>()

/** Returns the name of the prepared statement. There are as many as rules. */
function nameOf(query: string): string {
  const known = names.get(query)
  if (known !== undefined) return known
  const name = `lookup-${createHash('sha256').update(query).digest('hex').slice(0, 16)}`
  names.set(query, name)
  return name
}
