import { findSessionRevocations } from '../../db/queries/session-revocations.ts'
import { SESSION_REVOCATION, sessionRevocationTable } from '../../db/session-revocation.ts'
import { defineResource } from '../cache/index.ts'
import { fingerprint, sessionKeys } from '../session-key.ts'
import { createSeal } from './seal.ts'
import type { Resource } from './cache.ts'

/**
 * User data that sessions are checked against, stored under a seal; `null` if the user does not
 * exist.
 */
export interface UserAccess {
  readonly is_active: boolean
  readonly is_staff: boolean
  readonly is_superuser: boolean
  /**
   * Fingerprint of the password hash and the last revocation of all sessions, with the key of the
   * variant.
   */
  readonly fingerprint: string
  /** Ids of revoked sessions. */
  readonly revoked: readonly string[]
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
    {
      table: SESSION_REVOCATION,
      watch: ['user_id', 'session_id'],
      key: { user_id: 'user_id' },
    },
  ],
  creates: { [SESSION_REVOCATION]: sessionRevocationTable },
})

/**
 * Creates the resource that decides whether a user's sessions are valid, and their permissions. The
 * variant is the id of a session key.
 */
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
        const { epoch, sessionIds } = await findSessionRevocations(trx, user_id)
        access = {
          ...flags,
          fingerprint: fingerprint(key, { userId: user_id, passwordHash: password, epoch }),
          revoked: sessionIds,
        }
      }
      const body = seal.seal({ resource, params, keyId }, JSON.stringify(access))
      return body === null ? null : { body }
    },
  })
}
