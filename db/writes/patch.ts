import { type RawBuilder, type Updateable, sql } from 'kysely'
import type { Database } from '../schema.ts'

/** The columns of a row that were sent, to be written; the others keep what another may write. */
export type Patch<
  Table extends keyof Database,
  Column extends keyof Updateable<Database[Table]>,
> = {
  readonly [C in Column]?: Updateable<Database[Table]>[C] | undefined
}

/** The moment of a change. Not `now()`: before it got its lock, a transaction may have waited. */
export const changedAt = sql<Date>`statement_timestamp()`

/** Whether no column was sent at all; SQL has no update of none. */
export const isEmpty = (patch: Readonly<Record<string, unknown>>): boolean =>
  Object.values(patch).every((value) => value === undefined)

/**
 * Whether a row holds other values than these. An update under this condition leaves a row alone
 * that a save would not change, as well as the columns that were not sent.
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
 * A collation of the column may call another text equal, which is still to be saved. The CASE gives
 * the parameter the type of the column, without which two rows have no common image.
 */
const hasOtherBytes = (column: string, value: string) => {
  const stored = sql.ref(column)
  return sql<boolean>`record_image_ne(row(${stored}), row(case when true then ${value} else ${stored} end))`
}
