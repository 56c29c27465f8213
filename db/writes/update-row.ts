import type { Transaction, Updateable } from 'kysely'
import type { Database } from '../schema.ts'
import { changedAt, differsFrom, type Patch, type StampedTable } from './patch.ts'

/** Updates only the columns in the patch, and the time of the change; not if no value changes. */
export async function updateRow<Table extends StampedTable>(
  trx: Transaction<Database>,
  table: Table,
  id: string,
  patch: Patch<Table, keyof Updateable<Database[Table]>>,
): Promise<void> {
  const columns = patch as Updateable<Database[StampedTable]>
  await trx
    .updateTable<StampedTable>(table)
    .set({ ...columns, updated_at: changedAt })
    .where('id', '=', id)
    .where(differsFrom(patch))
    .execute()
}
