import { notFound } from '../../shared/errors.ts'

/**
 * Returns the value if it is not null: `found(await findBranch(trx, id), 'Branch', id)`.
 * @throws PublicError `not_found` if it is null.
 */
export function found<T>(value: T | null, entity: string, id: string): T {
  if (value === null) throw notFound(entity, id)
  return value
}
