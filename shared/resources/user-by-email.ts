import { findUserByEmail } from '../../db/queries/user-by-email.ts'
import { defineResource, type Load, type Params } from '../cache/resource.ts'

/** What an e-mail address stands for, as stored. */
export interface UserIdentity {
  readonly user_id: string
}

/** Names the entry of an address. In hexadecimal, so that no address can write another's key. */
export const userByEmailParams = (email: string): Params => ({
  email_hex: Buffer.from(email).toString('hex'),
})

const load: Load = async (trx, { email_hex = '' }) => {
  const user_id = await findUserByEmail(trx, Buffer.from(email_hex, 'hex').toString())
  if (user_id === null) return null
  const identity: UserIdentity = { user_id }
  return { body: JSON.stringify(identity) }
}

/** The user who has an e-mail address, for tokens that name their user by it. */
export const userByEmail = defineResource({
  name: 'user:by_email',
  version: 1,
  key: 'user:by_email:{email_hex}',
  ttlMs: 10 * 60_000,
  staleIfError: false,
  load,
  staleWhen: [
    {
      table: 'users_user',
      watch: ['email'],
      from: ['email'],
      query: `select distinct encode(convert_to(email, 'UTF8'), 'hex') as email_hex from unnest($1::text[]) as given (email)`,
    },
  ],
})
