import { type Kysely, expressionBuilder } from 'kysely'
import type { Database } from '../schema.ts'
import { selectTinyProjects } from './fragments/tiny-project.ts'
import { findArray } from './text.ts'

const eb = expressionBuilder<Database>()

/** The projects that a user is a member of, newest year first. */
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
