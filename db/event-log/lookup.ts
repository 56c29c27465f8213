import type pg from 'pg'

/**
 * Follows links from changed rows to entries, in the transaction that is open: the query gets one
 * array of text per column and returns a row of parameters per entry.
 */
export async function followLinks(
  client: pg.ClientBase,
  query: string,
  values: readonly (readonly string[])[],
): Promise<Record<string, string>[]> {
  const { rows } = await client.query<Record<string, unknown>>(query, [...values])
  return rows.map((row) =>
    Object.fromEntries(Object.entries(row).map(([name, value]) => [name, String(value)])),
  )
}
