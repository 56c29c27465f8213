import { type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { WriteError } from './write-error.ts'

/**
 * Checks that a referenced row exists, and locks it against deletion until the commit. A deferred
 * foreign key would fail only at the commit, without the name of the field.
 * @throws WriteError `invalid` with the name of the field.
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
 * Checks the users of several fields in one query, like `requireReference`. Ignores undefined ids.
 * @throws WriteError `invalid` with the name of the first field whose user does not exist.
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

/**
 * Runs checks in this order.
 * @throws WriteError `invalid` with the fields of all checks that fail.
 */
export async function requireAll(checks: readonly (() => Promise<void>)[]): Promise<void> {
  const failed: WriteError[] = []
  for (const check of checks) {
    await check().catch((error: unknown) => {
      if (!(error instanceof WriteError && error.reason === 'invalid')) throw error
      failed.push(error)
    })
  }
  const [first] = failed
  if (!first) return
  const fields = Object.assign({}, ...failed.map((error) => error.fields)) as WriteError['fields']
  throw new WriteError('invalid', first.message, { fields })
}

/** @throws WriteError `invalid`: a field refers to a row that does not exist. */
export function rejectReference(field: string, id: string): never {
  const message = `Invalid pk "${id}" - object does not exist.`
  throw new WriteError('invalid', message, { fields: { [field]: [message] } })
}
