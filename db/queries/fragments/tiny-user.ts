import { expressionBuilder } from 'kysely'
import { jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'
import { businessArea } from './business-area.ts'
import { fileUrl } from './file-url.ts'
import { fullName } from './full-name.ts'
import { perthTime } from './perth-time.ts'

const eb = expressionBuilder<Database>()

/** Every user in the short shape for other users (S.TinyUser); to be narrowed. */
export const selectTinyUsers = () =>
  eb
    .selectFrom('users_user as person')
    .leftJoin('users_userwork as work', 'work.user_id', 'person.id')
    .leftJoin('medias_useravatar as avatar', 'avatar.user_id', 'person.id')
    .select((row) => [
      'person.id',
      'person.first_name',
      'person.last_name',
      'person.display_first_name',
      'person.display_last_name',
      fullName({
        first: row.ref('person.display_first_name'),
        last: row.ref('person.display_last_name'),
      }).as('name'),
      'person.username',
      'person.email',
      'person.is_active',
      'person.is_staff',
      'person.is_superuser',
      fileUrl(row.ref('avatar.file')).as('image'),
      jsonObjectFrom(
        eb
          .selectFrom('agencies_affiliation as affiliation')
          .select((affiliation) => [
            'affiliation.id',
            perthTime(affiliation.ref('affiliation.created_at')).as('created_at'),
            perthTime(affiliation.ref('affiliation.updated_at')).as('updated_at'),
            'affiliation.name',
          ])
          .where('affiliation.id', '=', row.ref('work.affiliation_id')),
      ).as('affiliation'),
      businessArea(row.ref('work.business_area_id'), 'user').as('business_area'),
    ])
