import { findTinyProjects } from '../../db/queries/tiny-projects.ts'
import { defineResource } from '../cache/resource.ts'
import { businessAreaRules } from './business-area-rules.ts'
import { byVariant } from './load.ts'
import {
  entries,
  given,
  membersOfProjects,
  projectsOfBusinessAreas,
  projectsPicturedBy,
} from './lookups.ts'

/** The projects that a user is a member of. */
export const userProjects = defineResource({
  name: 'user:projects',
  version: 1,
  key: 'user:{user_id}:projects',
  ttlMs: 5 * 60_000,
  staleIfError: true,
  load: byVariant({ mine: (trx, { user_id = '' }) => findTinyProjects(trx, user_id) }),
  staleWhen: [
    {
      table: 'projects_projectmember',
      watch: ['user_id', 'project_id'],
      key: { user_id: 'user_id' },
    },
    {
      table: 'projects_project',
      watch: ['title', 'status', 'kind', 'year', 'number', 'business_area_id'],
      from: ['id'],
      query: entries('user_id', membersOfProjects(given)),
    },
    {
      table: 'medias_projectphoto',
      watch: ['project_id', 'file', 'uploader_id'],
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
