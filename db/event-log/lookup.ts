import { createHash } from 'node:crypto'
import type pg from 'pg'
import { fileNames, type Files, filesSql } from './table-files.ts'

/** A generic plan expects about ten values: more of them are planned for what they are. */
const FEW = 10

/**
 * Lookups read the application's tables. Where one is locked by somebody who then asks for another
 * that a lookup has read, one of the two must give way. A second after the writer began to wait
 * Postgres would choose the writer; a lookup that began to wait by then gives up well before.
 */
const LOCK_TIMEOUT_MS = 200
/** A lookup that takes longer is given up, so that the session is never silent for long. */
const LOOKUP_TIMEOUT_MS = 500

/**
 * Lets the planner choose freely again, where windows were read before in the same transaction, and
 * limits how long a lookup waits for a lock. Call it before lookups are followed.
 */
export async function beginLookups(client: pg.ClientBase): Promise<void> {
  await client.query(
    `select set_config('enable_seqscan', 'on', true), set_config('lock_timeout', '${LOCK_TIMEOUT_MS}', true),
            set_config('statement_timeout', '${LOOKUP_TIMEOUT_MS}', true)`,
  )
}

/**
 * Follows links from changed rows to entries, in the transaction that is open: the query gets one
 * array of text per column and returns a row of parameters per entry. Of more than `limit` rows it
 * returns one more than that.
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

/** In which file each table is now, whatever the snapshot of the transaction that is open. */
export async function findFiles(client: pg.ClientBase, tables: readonly string[]): Promise<Files> {
  const { rows } = await client.query<{ files: Files }>({
    name: 'invalidation-files',
    text: `select ${filesSql('$1')} as files`,
    values: [fileNames(tables)],
  })
  return rows[0]?.files ?? []
}

const names = new Map<string, string>()

/** Under which the server keeps the plan: there are as many as rules. */
function nameOf(query: string): string {
  const known = names.get(query)
  if (known !== undefined) return known
  const name = `lookup-${createHash('sha256').update(query).digest('hex').slice(0, 16)}`
  names.set(query, name)
  return name
}
