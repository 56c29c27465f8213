import { expressionBuilder } from 'kysely'
import type { Database } from '../../schema.ts'
import { affiliation } from './affiliation.ts'
import { branch } from './branch.ts'
import { businessArea } from './business-area.ts'
import { fileUrl } from './file-url.ts'
import { fullName } from './full-name.ts'
import { ledBusinessAreas } from './mini-business-area.ts'

/** Selects every user in the short shape for other users; callers add conditions. */
export const selectTinyUsers = () =>
  expressionBuilder<Database>()
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
      affiliation(row.ref('work.affiliation_id')).as('affiliation'),
      businessArea(row.ref('work.business_area_id'), 'user').as('business_area'),
      branch(row.ref('work.branch_id')).as('branch'),
      'work.role',
      ledBusinessAreas(row.ref('person.id')).as('business_areas_led'),
    ])
