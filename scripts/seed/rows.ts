import type { InsertType, SelectType } from 'kysely'
import type { Database } from '../../db/schema.ts'

type Table = {
  [T in keyof Database]: 'id' extends keyof Database[T] ? T : never
}[keyof Database]
type Values<T extends Table> = {
  [C in Exclude<keyof Database[T], 'id'>]: Value<Database[T][C]>
}
type Value<Column> = Exclude<InsertType<Column> | SelectType<Column>, undefined>
type Mandatory<T extends Table> = {
  [C in keyof Values<T>]: null extends Values<T>[C] ? never : C
}[keyof Values<T>]

/** A row with every column that may not be null, because Django's tables have no defaults. */
export type Row<T extends Table> = Partial<Values<T>> & Required<Pick<Values<T>, Mandatory<T>>>

/** Rows to insert, with their future ids. */
export interface Rows {
  /** Adds a row and returns its id, the next of its table. Rows of a table must have the same columns. */
  add<T extends Table>(table: T, row: Row<T>): number
  readonly tables: ReadonlyMap<Table, readonly object[]>
}

/** Returns an empty set of rows. */
export function createRows(): Rows {
  const tables = new Map<Table, object[]>()
  return {
    tables,
    add(table, row) {
      const rows = tables.get(table) ?? []
      if (rows.length === 0) tables.set(table, rows)
      rows.push({ id: rows.length + 1, ...row })
      return rows.length
    },
  }
}
