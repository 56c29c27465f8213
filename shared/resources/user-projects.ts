import { findUserProjects } from '../../db/queries/project-rows.ts'
import { findOwnProjects } from '../../db/queries/tiny-projects.ts'
import { defineResource } from '../cache/index.ts'
import { businessAreaRules } from './business-area-rules.ts'
import { byVariant } from './load.ts'
import {
  entries,
  given,
  membersOfProjects,
  projectsOfBusinessAreas,
  projectsPicturedBy,
} from './lookups.ts'

/** Projects that a user is a member of: `mine` for that user, `rows` for other users. */
export const userProjects = defineResource({
  name: 'user:projects',
  version: 2,
  key: 'user:{user_id}:projects',
  ttlMs: 5 * 60_000,
  staleIfError: true,
  load: byVariant({
    mine: (trx, { user_id = '' }) => findOwnProjects(trx, user_id),
    rows: (trx, { user_id = '' }) => findUserProjects(trx, user_id),
  }),
  staleWhen: [
    {
      table: 'projects_projectmember',
      watch: ['user_id', 'project_id', 'role'],
      key: { user_id: 'user_id' },
    },
    {
      table: 'projects_project',
      watch: [
        'title',
        'status',
        'kind',
        'year',
        'number',
        'business_area_id',
        'created_at',
        'description',
        'start_date',
        'end_date',
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
      watch: ['project_id', 'file', 'uploader_id', 'created_at', 'updated_at', 'size'],
      from: ['project_id'],
      query: entries('user_id', membersOfProjects(given)),
    },
    {
      table: 'users_user',
      watch: ['username'],
      from: ['id'],
      query: entries('user_id', membersOfProjects(projectsPicturedBy(given))),
    },
    ...businessAreaRules('user', 'user_id', (areas) =>
      membersOfProjects(projectsOfBusinessAreas(areas)),
    ),
  ],
})
