import { type Kysely, sql } from 'kysely'
import type { Database } from '../../db/schema.ts'

/** A row as JSON: ids are numbers, times are text in Perth's time. */
export type Row = Readonly<Record<string, string | number | boolean | null | readonly number[]>>

/** Whole tables in memory, for a test that joins them by itself. */
export interface Tables {
  /** The rows of a table with this value in a column, by id. */
  where(table: keyof Database, column: string, value: Row[string] | undefined): readonly Row[]
  all(table: keyof Database): readonly Row[]
}

/** Reads tables as they are; what is asked for later must be among them. */
export async function readTables(
  db: Kysely<Database>,
  names: readonly (keyof Database)[],
): Promise<Tables> {
  const tables = new Map<string, readonly Row[]>()
  await db.connection().execute(async (connection) => {
    await sql`set time zone 'Australia/Perth'`.execute(connection)
    for (const name of names) {
      const { rows } = await sql<{ row: Row }>`
        select to_jsonb(t) as row from ${sql.table(name)} as t order by id
      `.execute(connection)
      tables.set(
        name,
        rows.map(({ row }) => row),
      )
    }
    await sql`reset time zone`.execute(connection)
  })
  const all = (table: keyof Database) => tables.get(table) ?? []

  const indexes = new Map<string, Map<Row[string] | undefined, Row[]>>()
  return {
    all,
    where(table, column, value) {
      const name = `${table} ${column}`
      const index = indexes.get(name) ?? Map.groupBy(all(table), (row) => row[column])
      indexes.set(name, index)
      return index.get(value) ?? []
    },
  }
}
