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
  const columns = sql.join(sent.map(([column]) => sql.ref(column)))
  return sql`(${columns}) is distinct from (${sql.join(sent.map(([, value]) => value))})`
}
