import { type Expression, expressionBuilder } from 'kysely'
import { jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'
import { fileUrl } from './file-url.ts'
import { jsonObject } from './json-object.ts'
import { perthTime } from './perth-time.ts'

const eb = expressionBuilder<Database>()

/** Selects every user in the shape that admin tasks embed; callers add conditions. */
export const selectTaskUsers = () =>
  eb.selectFrom('users_user as person').select((row) => [
    'person.id',
    'person.display_first_name',
    'person.display_last_name',
    'person.email',
    jsonObjectFrom(
      eb
        .selectFrom('medias_useravatar as avatar')
        .select((avatar) => [
          'avatar.id',
          jsonObject({ id: row.ref('person.id'), username: row.ref('person.username') }).as('user'),
          perthTime(avatar.ref('avatar.created_at')).as('created_at'),
          perthTime(avatar.ref('avatar.updated_at')).as('updated_at'),
          fileUrl(avatar.ref('avatar.file')).as('file'),
          'avatar.size',
        ])
        .where('avatar.user_id', '=', row.ref('person.id')),
    ).as('image'),
  ])

/** Returns the user with this id in the shape that admin tasks embed, or null. */
export const taskUser = (id: Expression<string | null>) =>
  jsonObjectFrom(selectTaskUsers().where('person.id', '=', id))
