import { type Kysely, expressionBuilder } from 'kysely'
import type { Database } from '../schema.ts'
import { selectTinyProjects } from './fragments/tiny-project.ts'
import { findArray, findObject } from './text.ts'

const eb = expressionBuilder<Database>()

/** Returns the projects that a user is a member of, newest year first. */
export const findTinyProjects = (trx: Kysely<Database>, userId: string): Promise<string> =>
  findArray(
    trx,
    selectTinyProjects()
      .where(
        'project.id',
        'in',
        eb
          .selectFrom('projects_projectmember as member')
          .select('member.project_id')
          .where('member.user_id', '=', userId),
      )
      .orderBy('project.year', 'desc')
      .orderBy('project.id'),
  )

/** Returns one project in the short shape, or null. */
export const findTinyProject = (trx: Kysely<Database>, id: string): Promise<string | null> =>
  findObject(trx, selectTinyProjects().where('project.id', '=', id))
