import { findUserByEmail } from '../../db/queries/user-by-email.ts'
import { defineResource, type Params } from '../cache/index.ts'
import { createSeal } from './seal.ts'
import type { Resource } from './cache.ts'

/** User with an e-mail address, stored under a seal; `null` for an address without a user. */
export interface UserIdentity {
  readonly user_id: string
}

/**
 * Returns the parameters of an address. They are hexadecimal, so that no address can form another
 * key.
 */
export const userByEmailParams = (email: string): Params => ({
  email_hex: Buffer.from(email).toString('hex'),
})

export const userByEmailRules = defineResource({
  name: 'user:by_email',
  version: 2,
  key: 'user:by_email:{email_hex}',
  staleWhen: [
    {
      table: 'users_user',
      watch: ['email'],
      from: ['email'],
      query: `select distinct encode(convert_to(email, 'UTF8'), 'hex') as email_hex from unnest($1::text[]) as given (email)`,
    },
  ],
})

/**
 * Creates the resource that finds a user by e-mail address, for tokens that contain only the address.
 * The variant is the id of a session key.
 */
export function createUserByEmail(secrets: readonly string[]): Resource {
  const seal = createSeal(secrets)
  const resource = userByEmailRules.name
  return defineResource({
    ...userByEmailRules,
    ttlMs: 10 * 60_000,
    staleIfError: false,
    isGenuine: (body, params, keyId) => seal.verifies({ resource, params, keyId }, body),
    async load(trx, params, keyId) {
      const { email_hex = '' } = params
      const user_id = await findUserByEmail(trx, Buffer.from(email_hex, 'hex').toString())
      const identity: UserIdentity | null = user_id === null ? null : { user_id }
      const body = seal.seal({ resource, params, keyId }, JSON.stringify(identity))
      return body === null ? null : { body }
    },
  })
}
