import { type Expression, type Kysely, expressionBuilder } from 'kysely'
import { jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../schema.ts'
import { selectTinyProjects } from './fragments/tiny-project.ts'
import { selectTinyUsers } from './fragments/tiny-user.ts'
import { findObject } from './text.ts'

const eb = expressionBuilder<Database>()

/** A user's part in a project (S.TinyMember), or null. */
export const findMember = (
  trx: Kysely<Database>,
  projectId: string,
  userId: string,
): Promise<string | null> =>
  findObject(
    trx,
    eb
      .selectFrom('projects_projectmember as member')
      .select((row) => [
        'member.id',
        user(row.ref('member.user_id')).as('user'),
        project(row.ref('member.project_id')).as('project'),
        'member.is_leader',
        'member.role',
        'member.time_allocation',
        'member.position',
        'member.comments',
        'member.short_code',
      ])
      .where('member.project_id', '=', projectId)
      .where('member.user_id', '=', userId),
  )

const user = (id: Expression<string>) =>
  jsonObjectFrom(selectTinyUsers().where('person.id', '=', id))

const project = (id: Expression<string>) =>
  jsonObjectFrom(selectTinyProjects().where('project.id', '=', id))
