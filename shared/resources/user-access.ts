import { defineResource, type Resource } from '../cache/resource.ts'
import { fingerprint, sessionKeys } from '../session-key.ts'

/** What a session is checked against, as stored. */
export interface UserAccess {
  readonly is_active: boolean
  readonly is_staff: boolean
  readonly is_superuser: boolean
  /** Of the password hash, under the key that the variant names. */
  readonly fingerprint: string
}

export const userAccessRules = defineResource({
  name: 'user:access',
  version: 1,
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
  return defineResource({
    ...userAccessRules,
    ttlMs: 60_000,
    staleIfError: false,
    async load(trx, { user_id = '' }, keyId) {
      const key = keys.get(keyId)
      if (key === undefined) return null
      const user = await trx
        .selectFrom('users_user')
        .select(['is_active', 'is_staff', 'is_superuser', 'password'])
        .where('id', '=', user_id)
        .executeTakeFirst()
      if (user === undefined) return null
      const { password, ...flags } = user
      const access: UserAccess = { ...flags, fingerprint: fingerprint(key, user_id, password) }
      return { body: JSON.stringify(access) }
    },
  })
}
