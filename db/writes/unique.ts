import { WriteError } from './write-error.ts'
import { sqlStateOf } from './transact.ts'

/**
 * Returns an error handler for a write that violates a unique constraint on `fields`, which are names in
 * the API. It rethrows other errors.
 * @throws WriteError `conflict` with the names of the fields.
 */
export const rejectDuplicate =
  (...fields: readonly [string, ...string[]]) =>
  (error: unknown): never => {
    if (sqlStateOf(error) !== '23505') throw error
    const [message, field] =
      fields.length === 1
        ? ['This field must be unique.', fields[0]]
        : [`The fields ${fields.join(', ')} must make a unique set.`, 'non_field_errors']
    throw new WriteError('conflict', message, { fields: { [field]: [message] }, cause: error })
  }
