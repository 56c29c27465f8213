import { WriteError } from './write-error.ts'
import { sqlStateOf } from './transact.ts'

/**
 * For the catch of a write: says which fields another row already has, and passes on any other
 * error. What the fields are called, clients know.
 * @throws WriteError `conflict`
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
