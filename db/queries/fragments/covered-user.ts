import { type Expression, expressionBuilder } from 'kysely'
import { jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'
import { fileUrl } from './file-url.ts'

/** Returns the user with this id in the shape of a covered user, or null. */
export const coveredUser = (id: Expression<string | null>) =>
  jsonObjectFrom(
    expressionBuilder<Database>()
      .selectFrom('users_user as person')
      .leftJoin('medias_useravatar as avatar', 'avatar.user_id', 'person.id')
      .select((row) => [
        'person.id',
        'person.email',
        'person.display_first_name',
        'person.display_last_name',
        fileUrl(row.ref('avatar.file')).as('image'),
      ])
      .where('person.id', '=', id),
  )
