import { findStaffProjects } from '../../db/queries/project-rows.ts'
import { defineResource } from '../cache/index.ts'
import { businessAreaRules } from './business-area-rules.ts'
import { byVariant } from './load.ts'
import { entries, given, membersOfProjects, projectsOfBusinessAreas } from './lookups.ts'

/** Projects on a user's public page; absent without a visible staff profile. */
export const staffProjects = defineResource({
  name: 'staff:projects',
  version: 1,
  key: 'staff:projects:{user_id}',
  ttlMs: 5 * 60_000,
  staleIfError: false,
  load: byVariant({ rows: (trx, { user_id = '' }) => findStaffProjects(trx, user_id) }),
  staleWhen: [
    {
      table: 'users_publicstaffprofile',
      watch: ['user_id', 'is_hidden'],
      key: { user_id: 'user_id' },
    },
    { table: 'users_user', watch: ['is_active'], key: { user_id: 'id' } },
    {
      table: 'projects_projectmember',
      watch: ['user_id', 'project_id', 'role'],
      key: { user_id: 'user_id' },
    },
    {
      table: 'projects_project',
      watch: [
        'title',
        'kind',
        'created_at',
        'status',
        'year',
        'number',
        'business_area_id',
        'description',
        'start_date',
        'end_date',
        'hidden_from_staff_profiles',
      ],
      from: ['id'],
      query: entries('user_id', membersOfProjects(given)),
    },
    {
      table: 'projects_externalprojectdetails',
      watch: ['project_id', 'description'],
      from: ['project_id'],
      query: entries('user_id', membersOfProjects(given)),
    },
    {
      table: 'medias_projectphoto',
      watch: ['project_id', 'file', 'created_at', 'updated_at', 'size'],
      from: ['project_id'],
      query: entries('user_id', membersOfProjects(given)),
    },
    ...businessAreaRules('anyone', 'user_id', (areas) =>
      membersOfProjects(projectsOfBusinessAreas(areas)),
    ),
  ],
})
