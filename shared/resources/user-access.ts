import { defineResource, type Resource } from '../cache/resource.ts'
import { fingerprint, sessionKeys } from '../session-key.ts'
import { createSeal } from './seal.ts'

/** What a session is checked against, as stored under a seal; null for a user who does not exist. */
export interface UserAccess {
  readonly is_active: boolean
  readonly is_staff: boolean
  readonly is_superuser: boolean
  /** Of the password hash, under the key that the variant names. */
  readonly fingerprint: string
}

export const userAccessRules = defineResource({
  name: 'user:access',
  version: 2,
  key: 'user:{user_id}:access',
  staleWhen: [
    {
      table: 'users_user',
      watch: ['is_active', 'is_staff', 'is_superuser', 'password'],
      key: { user_id: 'id' },
    },
  ],
})

/** Whether a user may use their sessions, and as what. The variant is the id of a session key. */
export function createUserAccess(secrets: readonly string[]): Resource {
  const keys = new Map(sessionKeys(secrets).map((key) => [key.id, key]))
  const seal = createSeal(secrets)
  const resource = userAccessRules.name
  return defineResource({
    ...userAccessRules,
    ttlMs: 60_000,
    staleIfError: false,
    isGenuine: (body, params, keyId) => seal.verifies({ resource, params, keyId }, body),
    async load(trx, params, keyId) {
      const { user_id = '' } = params
      const key = keys.get(keyId)
      if (key === undefined) return null
      const user = await trx
        .selectFrom('users_user')
        .select(['is_active', 'is_staff', 'is_superuser', 'password'])
        .where('id', '=', user_id)
        .executeTakeFirst()
      let access: UserAccess | null = null
      if (user !== undefined) {
        const { password, ...flags } = user
        access = { ...flags, fingerprint: fingerprint(key, user_id, password) }
      }
      const body = seal.seal({ resource, params, keyId }, JSON.stringify(access))
      return body === null ? null : { body }
    },
  })
}
