import { z } from 'zod'
import { isEmailTaken, isNameTaken, isUsernameTaken } from '../../db/queries/user-exists.ts'
import { PublicError } from '../../shared/errors.ts'
import { type Endpoint, getOrPost, user } from '../endpoints/index.ts'
import { atMost, storable } from './field.ts'
import { parameter } from './parameter.ts'

const searchedText = parameter(storable.trim().check(atMost(254)).optional())

/**
 * Checks whether an e-mail address or a name is taken. They require a log-in, so that strangers cannot
 * find out who has an account.
 */
export const userExistsEndpoints: readonly Endpoint[] = [
  ...getOrPost('/users/check-email-exists', {
    summary: 'Check whether a user has an e-mail address',
    access: user,
    query: z.object({ email: searchedText }),
    answers: { 200: z.strictObject({ exists: z.boolean() }) },
    async read(trx, _, { query: { email } }) {
      if (!email) throw missing('email is required')
      return { exists: await isEmailTaken(trx, email) }
    },
  }),
  ...getOrPost('/users/check-name-exists', {
    summary: 'Check whether a user has a user name, or a first and a last name',
    access: user,
    query: z.object({
      username: searchedText,
      first_name: searchedText,
      last_name: searchedText,
    }),
    answers: { 200: z.strictObject({ exists: z.boolean() }) },
    async read(trx, _, { query: { username, first_name: first, last_name: last } }) {
      if (username) return { exists: await isUsernameTaken(trx, username) }
      if (!first || !last) throw missing('username, or first_name and last_name, is required')
      return { exists: await isNameTaken(trx, first, last) }
    },
  }),
]

const missing = (error: string) => new PublicError('invalid', error, { fields: { error } })
