import { findMe } from '../../db/queries/user.ts'
import { defineResource } from '../cache/index.ts'
import { byVariant } from './load.ts'
import { entries, given, usersOfAgencies } from './lookups.ts'
import { userRules } from './user-rules.ts'

/** A user's view of themselves: e-mail, contact details and parts of their staff profile. */
export const userMe = defineResource({
  name: 'user:me',
  version: 2,
  key: 'user:{user_id}:me',
  ttlMs: 10 * 60_000,
  staleIfError: true,
  load: byVariant({ full: (trx, { user_id = '' }) => findMe(trx, user_id) }),
  staleWhen: [
    ...userRules,
    {
      table: 'users_publicstaffprofile',
      watch: ['is_hidden', 'public_email', 'public_email_on', 'custom_title', 'custom_title_on'],
      key: { user_id: 'user_id' },
    },
    { table: 'users_userwork', watch: ['agency_id'], key: { user_id: 'user_id' } },
    {
      table: 'agencies_agency',
      watch: ['name', 'key_stakeholder_id', 'is_active'],
      from: ['id'],
      query: entries('user_id', usersOfAgencies(given)),
    },
    {
      table: 'medias_agencyimage',
      watch: ['agency_id', 'file'],
      from: ['agency_id'],
      query: entries('user_id', usersOfAgencies(given)),
    },
  ],
})
