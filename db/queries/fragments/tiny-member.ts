import { type Expression, expressionBuilder } from 'kysely'
import { jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'
import { tinyProject } from './tiny-project.ts'
import { selectTinyUsers } from './tiny-user.ts'

/** Selects every project membership; callers add conditions. */
export const selectTinyMembers = () =>
  expressionBuilder<Database>()
    .selectFrom('projects_projectmember as member')
    .select((row) => [
      'member.id',
      user(row.ref('member.user_id')).as('user'),
      tinyProject(row.ref('member.project_id')).as('project'),
      'member.is_leader',
      'member.role',
      'member.time_allocation',
      'member.position',
      'member.comments',
      'member.short_code',
    ])

const user = (id: Expression<string>) =>
  jsonObjectFrom(selectTinyUsers().where('person.id', '=', id))
