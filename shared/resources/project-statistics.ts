import { findProjectStatistics } from '../../db/queries/project-statistics.ts'
import { defineResource } from '../cache/index.ts'
import { byVariant } from './load.ts'

/** Numbers of projects and documents. */
export const projectStatistics = defineResource({
  name: 'project:stats',
  version: 1,
  key: 'project:stats',
  ttlMs: 15 * 60_000,
  staleIfError: true,
  load: byVariant({ all: findProjectStatistics }),
  staleWhen: [
    {
      table: 'projects_project',
      watch: ['status', 'kind', 'year', 'business_area_id'],
      key: {},
    },
    // The number of projects with areas does not depend on `project_id`: each project has one row.
    { table: 'projects_projectarea', watch: ['areas'], key: {} },
    { table: 'agencies_businessarea', watch: ['name'], key: {} },
    { table: 'documents_projectdocument', watch: ['kind', 'status'], key: {} },
  ],
})
