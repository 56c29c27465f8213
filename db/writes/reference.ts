import { type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { WriteError } from './write-error.ts'

/**
 * Makes sure that the row behind a reference exists and stays until the commit. A foreign key that
 * is deferred would fail only there, without a word on the field.
 * @throws WriteError `invalid`, naming the field.
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
  if (!row) rejectReference(field, String(id))
}

/**
 * The same for users in several fields, in one query. An id without a field is left out.
 * @throws WriteError `invalid`, naming the first field with a user who does not exist.
 */
export async function requireUsers(
  trx: Transaction<Database>,
  fields: Readonly<Record<string, readonly (string | undefined)[]>>,
): Promise<void> {
  const ids = Object.values(fields).flat()
  const rows = await trx
    .selectFrom('users_user')
    .select('id')
    .where(sql<boolean>`id = any(${ids}::bigint[])`)
    .orderBy('id')
    .forKeyShare()
    .execute()
  const existing = new Set(rows.map(({ id }) => id))
  for (const [field, named] of Object.entries(fields)) {
    const missing = named.find((id) => id !== undefined && !existing.has(id))
    if (missing !== undefined) rejectReference(field, missing)
  }
}

/** Says that a field names a row that does not exist. */
export function rejectReference(field: string, id: string): never {
  const message = `Invalid pk "${id}" - object does not exist.`
  throw new WriteError('invalid', message, { fields: { [field]: [message] } })
}
