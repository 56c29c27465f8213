import { type StaffView, findStaffProfile } from '../../db/queries/staff-profile.ts'
import { defineResource } from '../cache/index.ts'
import { type Find, byVariant } from './load.ts'
import {
  entries,
  given,
  profilesOfUsers,
  profilesWithTags,
  usersOfBusinessAreas,
} from './lookups.ts'

const view =
  (name: StaffView): Find =>
  (trx, { profile_id = '' }) =>
    findStaffProfile(trx, profile_id, name)

/** The public view of a staff profile, and the sections of its page. */
export const staffProfile = defineResource({
  name: 'staff:profile',
  version: 1,
  key: 'staff:profile:{profile_id}',
  ttlMs: 60 * 60_000,
  staleIfError: false,
  load: byVariant({
    full: view('full'),
    hero: view('hero'),
    overview: view('overview'),
    cv: view('cv'),
  }),
  staleWhen: [
    {
      table: 'users_publicstaffprofile',
      watch: [
        'user_id',
        'is_hidden',
        'about',
        'expertise',
        'custom_title',
        'custom_title_on',
        'public_email',
        'public_email_on',
      ],
      key: { profile_id: 'id' },
    },
    {
      table: 'users_user',
      watch: ['display_first_name', 'display_last_name', 'is_active'],
      from: ['id'],
      query: entries('profile_id', profilesOfUsers(given)),
    },
    {
      table: 'medias_useravatar',
      watch: ['user_id', 'file'],
      from: ['user_id'],
      query: entries('profile_id', profilesOfUsers(given)),
    },
    {
      table: 'users_userwork',
      watch: ['user_id', 'role', 'business_area_id'],
      from: ['user_id'],
      query: entries('profile_id', profilesOfUsers(given)),
    },
    {
      table: 'agencies_businessarea',
      watch: ['name'],
      from: ['id'],
      query: entries('profile_id', profilesOfUsers(usersOfBusinessAreas(given))),
    },
    {
      table: 'users_publicstaffprofile_keyword_tags',
      watch: ['publicstaffprofile_id', 'keywordtag_id'],
      key: { profile_id: 'publicstaffprofile_id' },
    },
    {
      table: 'users_keywordtag',
      watch: ['name'],
      from: ['id'],
      query: entries('profile_id', profilesWithTags(given)),
    },
    {
      table: 'users_employmententry',
      watch: [
        'public_profile_id',
        'position_title',
        'start_year',
        'end_year',
        'section',
        'employer',
      ],
      key: { profile_id: 'public_profile_id' },
    },
    {
      table: 'users_educationentry',
      watch: ['public_profile_id', 'qualification_name', 'end_year', 'institution', 'location'],
      key: { profile_id: 'public_profile_id' },
    },
  ],
})
