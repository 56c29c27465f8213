import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { Refusal } from './refusal.ts'

/**
 * Makes sure that the row behind a reference exists and stays until the commit. A foreign key that
 * is deferred would fail only there, without a word on the field.
 * @throws Refusal `invalid`, naming the field.
 */
export async function requireReference(
  trx: Transaction<Database>,
  table:
    | 'agencies_affiliation'
    | 'agencies_agency'
    | 'agencies_branch'
    | 'agencies_businessarea'
    | 'agencies_departmentalservice'
    | 'agencies_division'
    | 'users_user',
  field: string,
  id: string | number | null | undefined,
): Promise<void> {
  if (id == null) return
  const row = await trx
    .selectFrom(table)
    .select('id')
    .where('id', '=', String(id))
    .forKeyShare()
    .executeTakeFirst()
  if (!row) refuseReference(field, String(id))
}

/** Says that a field names a row that does not exist. */
export function refuseReference(field: string, id: string): never {
  const message = `Invalid pk "${id}" - object does not exist.`
  throw new Refusal('invalid', message, { fields: { [field]: [message] } })
}
