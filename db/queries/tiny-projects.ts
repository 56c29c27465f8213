import type { Kysely } from 'kysely'
import type { Database } from '../schema.ts'
import { perthTime } from './fragments/perth-time.ts'
import { projectTag } from './fragments/project-tag.ts'
import { selectTinyProjects } from './fragments/tiny-project.ts'
import { findArray, findObject } from './text.ts'

/** Returns the projects that a user is a member of with the user's role, newest year first. */
export const findOwnProjects = (trx: Kysely<Database>, userId: string): Promise<string> =>
  findArray(
    trx,
    selectTinyProjects()
      .innerJoin('projects_projectmember as member', 'member.project_id', 'project.id')
      .select((row) => [
        'member.role',
        projectTag({
          kind: row.ref('project.kind'),
          year: row.ref('project.year'),
          number: row.ref('project.number'),
        }).as('tag'),
        perthTime(row.ref('project.created_at')).as('created_at'),
      ])
      .where('member.user_id', '=', userId)
      .orderBy('project.year', 'desc')
      .orderBy('project.id'),
  )

/** Returns one project in the short shape, or null. */
export const findTinyProject = (trx: Kysely<Database>, id: string): Promise<string | null> =>
  findObject(trx, selectTinyProjects().where('project.id', '=', id))
