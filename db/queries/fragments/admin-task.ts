import { type Expression, expressionBuilder, sql } from 'kysely'
import { jsonArrayFrom, jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'
import { perthTime } from './perth-time.ts'
import { selectTaskUsers, taskUser } from './task-user.ts'
import type { Viewer } from './viewer.ts'

const eb = expressionBuilder<Database>()

/**
 * The requests to administrators that somebody may read (S.AdminTask); to be narrowed. They hold
 * what people wrote about themselves and each other, so they are shown to superusers and to whom
 * they name: who asks, whom it is about, and the others it would involve.
 */
export const selectAdminTasks = ({ userId, isSuperuser }: Viewer) =>
  eb
    .selectFrom('adminoptions_admintask as task')
    .select((row) => [
      'task.id',
      taskUser(row.ref('task.requester_id')).as('requester'),
      taskUser(row.ref('task.primary_user_id')).as('primary_user'),
      project(row.ref('task.project_id')).as('project'),
      users(row.ref('task.secondary_users')).as('secondary_users'),
      perthTime(row.ref('task.created_at')).as('created_at'),
      perthTime(row.ref('task.updated_at')).as('updated_at'),
      'task.action',
      'task.status',
      'task.reason',
      perthTime(row.ref('task.start_date')).as('start_date'),
      perthTime(row.ref('task.end_date')).as('end_date'),
      'task.notes',
    ])
    .$if(!isSuperuser, (tasks) =>
      tasks.where((row) =>
        row.or([
          row('task.requester_id', '=', userId),
          row('task.primary_user_id', '=', userId),
          involves(row.ref('task.secondary_users'), userId),
        ]),
      ),
    )

/** Whether the list of a task's secondary users holds this one. */
export const involves = (secondaryUsers: Expression<unknown>, userId: string) =>
  sql<boolean>`${secondaryUsers} @> to_jsonb(${userId}::bigint)`

const project = (id: Expression<string | null>) =>
  jsonObjectFrom(
    eb
      .selectFrom('projects_project as project')
      .select(['project.id', 'project.title'])
      .where('project.id', '=', id),
  )

// Their ids have no foreign key: what is no list holds nobody, and what is no id is nobody's.
const users = (ids: Expression<unknown>) =>
  jsonArrayFrom(
    selectTaskUsers()
      .innerJoin(
        sql<{ id: string | null; position: string }>`(
          select case when id ~ '^[0-9]{1,18}$' then id::bigint end as id, position
          from jsonb_array_elements_text(
            case when jsonb_typeof(${ids}) = 'array' then ${ids} end
          ) with ordinality as element(id, position)
        )`.as('listed'),
        'listed.id',
        'person.id',
      )
      .orderBy('listed.position'),
  )
