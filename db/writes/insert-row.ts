import type { Insertable, Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { changedAt, type StampedTable } from './patch.ts'

/** Inserts a row with the time of its creation, and returns its id. */
export async function insertRow<Table extends StampedTable>(
  trx: Transaction<Database>,
  table: Table,
  columns: Omit<Insertable<Database[Table]>, 'id' | 'created_at' | 'updated_at'>,
): Promise<string> {
  const row = { ...columns, created_at: changedAt, updated_at: changedAt }
  const { id } = await trx
    .insertInto<StampedTable>(table)
    .values(row as Insertable<Database[StampedTable]>)
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}
