import { type Expression, expressionBuilder, sql } from 'kysely'
import { jsonArrayFrom, jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'
import { jsonObject } from './json-object.ts'
import { perthTime } from './perth-time.ts'
import { selectTaskUsers, taskUser } from './task-user.ts'
import type { Viewer } from './viewer.ts'

const eb = expressionBuilder<Database>()

/**
 * Selects the admin tasks that the viewer may read; callers add conditions. Tasks contain
 * personal texts, so only superusers and the users that a task names can read it: the requester, the
 * primary user and the secondary users.
 */
export const selectAdminTasks = ({ userId, isSuperuser }: Viewer) =>
  eb
    .selectFrom('adminoptions_admintask as task')
    .select((row) => [
      'task.id',
      requester(row.ref('task.requester_id')).as('requester'),
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

/** Whether the secondary users of a task contain this user. */
export const involves = (secondaryUsers: Expression<unknown>, userId: string) =>
  sql<boolean>`${secondaryUsers} @> to_jsonb(${userId}::bigint)`

/** Returns the requester. Clients read the name of every requester, so a deleted user gets a name. */
const requester = (id: Expression<string | null>) =>
  sql`coalesce(${taskUser(id)}, ${jsonObject({
    id: sql.lit(0),
    display_first_name: sql.lit('Deleted'),
    display_last_name: sql.lit('user'),
    email: sql.lit(null),
    image: sql.lit(null),
  })})`

const project = (id: Expression<string | null>) =>
  jsonObjectFrom(
    eb
      .selectFrom('projects_project as project')
      .select(['project.id', 'project.title'])
      .where('project.id', '=', id),
  )

// The column is JSON without a foreign key: a value that is not an array counts as empty, and elements
// that are not ids of users are skipped.
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
