import { type Kysely, sql } from 'kysely'
import type { Database } from '../../db/schema.ts'

type Value = string | number | boolean | null | readonly number[]

/** A row as JSON. Ids are numbers; times are text in the time zone of Perth. */
export type Row = Readonly<Record<string, Value>>

type Table = keyof Database

/** Whole tables in memory, for tests that compute joins themselves. */
export interface Tables {
  /** Returns the rows with this value in a column, ordered by id. */
  readonly all: (table: Table, column: string, value: Value | undefined) => readonly Row[]
  /** Returns the first of these rows. */
  readonly one: (table: Table, column: string, value: Value | undefined) => Row | undefined
  /** Returns all rows, ordered by id. */
  readonly every: (table: Table) => readonly Row[]
}

/** Reads the current rows of these tables. */
export async function readTables(db: Kysely<Database>, names: readonly Table[]): Promise<Tables> {
  const tables = new Map<Table, readonly Row[]>()
  await db.transaction().execute(async (trx) => {
    await sql`set local time zone 'Australia/Perth'`.execute(trx)
    for (const name of names) {
      const { rows } = await sql<{ row: Row }>`
        select to_jsonb(t) as row from ${sql.table(name)} as t order by id
      `.execute(trx)
      tables.set(
        name,
        rows.map(({ row }) => row),
      )
    }
  })

  const every = (table: Table) => {
    const rows = tables.get(table)
    if (!rows) throw new Error(`${table} was not read`)
    return rows
  }
  const all = (table: Table, column: string, value: Value | undefined) =>
    every(table).filter((row) => row[column] === value)
  return { all, one: (...where) => all(...where)[0], every }
}
