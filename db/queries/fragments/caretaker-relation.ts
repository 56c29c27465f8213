import { type Expression, expressionBuilder, sql } from 'kysely'
import { jsonArrayFrom, jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'
import { fileUrl } from './file-url.ts'
import { fullName } from './full-name.ts'
import { selectMiniBusinessAreas } from './mini-business-area.ts'
import { perthTime } from './perth-time.ts'
import type { Viewer } from './viewer.ts'

const eb = expressionBuilder<Database>()

/**
 * Selects every caretaker relation; callers add conditions. All users may see the
 * relation itself. Only the two users of the relation and superusers may see its reason and notes.
 */
export const selectCaretakerRelations = ({ userId, isSuperuser }: Viewer) =>
  eb.selectFrom('caretakers_caretaker as relation').select((row) => {
    const maySeeReason = isSuperuser
      ? sql.lit(true)
      : row.or([row('relation.user_id', '=', userId), row('relation.caretaker_id', '=', userId)])
    const confidential = (text: Expression<string | null>) =>
      sql<string | null>`case when ${maySeeReason} then ${text} end`
    return [
      'relation.id',
      user(row.ref('relation.user_id')).as('user'),
      caretaker(row.ref('relation.caretaker_id')).as('caretaker'),
      perthTime(row.ref('relation.end_date')).as('end_date'),
      confidential(row.ref('relation.reason')).as('reason'),
      confidential(row.ref('relation.notes')).as('notes'),
      perthTime(row.ref('relation.created_at')).as('created_at'),
      perthTime(row.ref('relation.updated_at')).as('updated_at'),
    ]
  })

const user = (id: Expression<string>) =>
  jsonObjectFrom(
    eb
      .selectFrom('users_user as person')
      .select((row) => [
        'person.id',
        'person.first_name',
        'person.last_name',
        'person.username',
        'person.email',
        'person.is_active',
        'person.is_staff',
        caretakersOf(row.ref('person.id')).as('caretakers'),
      ])
      .where('person.id', '=', id),
  )

const caretakersOf = (userId: Expression<string>) =>
  jsonArrayFrom(
    eb
      .selectFrom('caretakers_caretaker as other')
      .innerJoin('users_user as acting', 'acting.id', 'other.caretaker_id')
      .select((row) => [
        'acting.id',
        fullName({
          first: row.ref('acting.display_first_name'),
          last: row.ref('acting.display_last_name'),
        }).as('name'),
      ])
      .where('other.user_id', '=', userId)
      .orderBy('other.id'),
  )

const caretaker = (id: Expression<string>) =>
  jsonObjectFrom(
    eb
      .selectFrom('users_user as person')
      .leftJoin('medias_useravatar as avatar', 'avatar.user_id', 'person.id')
      .select((row) => [
        'person.id',
        'person.first_name',
        'person.last_name',
        'person.display_first_name',
        'person.display_last_name',
        'person.username',
        'person.email',
        'person.is_active',
        'person.is_staff',
        work(row.ref('person.id')).as('work'),
        fileUrl(row.ref('avatar.file')).as('image'),
      ])
      .where('person.id', '=', id),
  )

const work = (userId: Expression<string>) =>
  jsonObjectFrom(
    eb
      .selectFrom('users_userwork as work')
      .select((row) => [
        'work.id',
        'work.role',
        jsonObjectFrom(
          selectMiniBusinessAreas().where('area.id', '=', row.ref('work.business_area_id')),
        ).as('business_area'),
      ])
      .where('work.user_id', '=', userId),
  )
