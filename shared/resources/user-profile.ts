import { findUser } from '../../db/queries/user.ts'
import { defineResource } from '../cache/index.ts'
import { byVariant } from './load.ts'
import { userRules } from './user-rules.ts'

/** A user as other users see them. The variant `private` is for that user and for superusers. */
export const userProfile = defineResource({
  name: 'user:profile',
  version: 3,
  key: 'user:{user_id}:profile',
  ttlMs: 10 * 60_000,
  staleIfError: true,
  load: byVariant({
    full: (trx, { user_id = '' }) => findUser(trx, user_id, 'full'),
    private: (trx, { user_id = '' }) => findUser(trx, user_id, 'private'),
  }),
  staleWhen: [
    ...userRules,
    { table: 'users_publicstaffprofile', watch: ['is_hidden'], key: { user_id: 'user_id' } },
    { table: 'users_user', watch: ['old_pk'], key: { user_id: 'id' } },
    {
      table: 'users_user_groups',
      watch: ['user_id', 'group_id'],
      key: { user_id: 'user_id' },
    },
    {
      table: 'users_user_user_permissions',
      watch: ['user_id', 'permission_id'],
      key: { user_id: 'user_id' },
    },
  ],
})
