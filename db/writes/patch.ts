import { type RawBuilder, type Updateable, sql } from 'kysely'
import type { Database } from '../schema.ts'

/** The columns of a row to update. Other columns are not written, so concurrent changes are kept. */
export type Patch<
  Table extends keyof Database,
  Column extends keyof Updateable<Database[Table]>,
> = {
  readonly [C in Column]?: Updateable<Database[Table]>[C] | undefined
}

/** The tables that store when a row was created and changed. */
export type StampedTable = {
  [Table in keyof Database]: Database[Table] extends {
    readonly created_at: unknown
    readonly updated_at: unknown
  }
    ? Table
    : never
}[keyof Database]

/** The time of a change. Not `now()`, since the transaction may have waited for a lock. */
export const changedAt = sql<Date>`statement_timestamp()`

/** Whether a patch has no columns; an UPDATE requires at least one. */
export const isEmpty = (patch: Readonly<Record<string, unknown>>): boolean =>
  Object.values(patch).every((value) => value === undefined)

/**
 * Returns a condition that is true if the stored values differ from the patch. An update with this
 * condition does not rewrite unchanged rows.
 */
export function differsFrom(patch: Readonly<Record<string, unknown>>): RawBuilder<boolean> {
  const sent = Object.entries(patch).filter(([, value]) => value !== undefined)
  if (sent.length === 0) return sql`false`
  const conditions = sent.map(([column, value]) =>
    typeof value === 'string' ? hasOtherBytes(column, value) : isDistinct(column, value),
  )
  return sql`(${sql.join(conditions, sql` or `)})`
}

const isDistinct = (column: string, value: unknown) =>
  sql<boolean>`${sql.ref(column)} is distinct from ${value}`

/**
 * Compares by bytes: under the column's collation a different text may be equal, but must be saved. The
 * CASE gives the parameter the type of the column, which `record_image_ne` requires.
 */
const hasOtherBytes = (column: string, value: string) => {
  const stored = sql.ref(column)
  return sql<boolean>`record_image_ne(row(${stored}), row(case when true then ${value} else ${stored} end))`
}
