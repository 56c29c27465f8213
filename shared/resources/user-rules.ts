import type { Rule } from '../cache/index.ts'
import { businessAreaRules } from './business-area-rules.ts'
import {
  entries,
  given,
  givenByEither,
  usersOfAffiliations,
  usersOfBranches,
  usersOfBusinessAreas,
  usersWhoseCareShows,
} from './lookups.ts'
import { ledBusinessAreaRules } from './mini-business-area-rules.ts'

/** Rules of the entries that show a user, to other users and to that user. */
export const userRules: readonly Rule[] = [
  {
    table: 'users_user',
    // Without the password and the time of the last log-in: neither is shown.
    watch: [
      'username',
      'email',
      'display_first_name',
      'display_last_name',
      'first_name',
      'last_name',
      'is_superuser',
      'is_staff',
      'is_active',
      'is_aec',
      'date_joined',
    ],
    key: { user_id: 'id' },
  },
  {
    table: 'users_user',
    watch: ['display_first_name', 'display_last_name', 'is_superuser', 'email'],
    from: ['id'],
    query: entries('user_id', usersWhoseCareShows(given)),
  },
  {
    table: 'medias_useravatar',
    watch: ['user_id', 'file'],
    from: ['user_id'],
    query: entries('user_id', usersWhoseCareShows(given)),
  },
  {
    table: 'caretakers_caretaker',
    watch: ['user_id', 'caretaker_id', 'end_date'],
    from: ['user_id', 'caretaker_id'],
    query: entries('user_id', usersWhoseCareShows(givenByEither)),
  },
  {
    table: 'users_userwork',
    watch: ['user_id', 'role', 'branch_id', 'business_area_id', 'affiliation_id'],
    key: { user_id: 'user_id' },
  },
  {
    table: 'agencies_branch',
    watch: ['name', 'agency_id', 'manager_id'],
    from: ['id'],
    query: entries('user_id', usersOfBranches(given)),
  },
  {
    table: 'agencies_affiliation',
    watch: ['name', 'created_at', 'updated_at'],
    from: ['id'],
    query: entries('user_id', usersOfAffiliations(given)),
  },
  {
    table: 'users_publicstaffprofile',
    watch: ['user_id', 'about', 'expertise'],
    key: { user_id: 'user_id' },
  },
  { table: 'users_userprofile', watch: ['user_id', 'title'], key: { user_id: 'user_id' } },
  {
    table: 'contacts_usercontact',
    watch: ['user_id', 'phone', 'fax'],
    key: { user_id: 'user_id' },
  },
  ...businessAreaRules('user', 'user_id', usersOfBusinessAreas),
  ...ledBusinessAreaRules('user_id'),
]
