import { notFound } from '../../shared/errors.ts'

/**
 * What was found: `found(await findBranch(trx, id), 'Branch', id)`.
 * @throws PublicError `not_found` when there is nothing.
 */
export function found<T>(value: T | null, entity: string, id: string): T {
  if (value === null) throw notFound(entity, id)
  return value
}
