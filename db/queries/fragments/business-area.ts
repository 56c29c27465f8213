import { type Expression, expressionBuilder, sql } from 'kysely'
import { jsonArrayFrom, jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'
import type { Audience } from './audience.ts'
import { fileUrl } from './file-url.ts'
import { fullName } from './full-name.ts'

const eb = expressionBuilder<Database>()

/** Selects every business area as projects and users embed it; callers add conditions. */
export const selectBusinessAreas = (audience: Audience) =>
  eb.selectFrom('agencies_businessarea as area').select((row) => [
    'area.id',
    'area.name',
    'area.slug',
    'area.focus',
    division(row.ref('area.division_id'), audience).as('division'),
    'area.introduction',
    jsonObjectFrom(
      eb
        .selectFrom('medias_businessareaphoto as picture')
        .select((picture) => ['picture.id', fileUrl(picture.ref('picture.file')).as('file')])
        .where('picture.business_area_id', '=', row.ref('area.id')),
    ).as('image'),
    'area.leader_id as leader',
    'area.caretaker_id as caretaker',
    'area.finance_admin_id as finance_admin',
    'area.data_custodian_id as data_custodian',
    'area.is_active',
  ])

/** Returns the business area with this id, or null. */
export const businessArea = (id: Expression<string | null>, audience: Audience) =>
  jsonObjectFrom(selectBusinessAreas(audience).where('area.id', '=', id))

/** Selects every division as business areas embed it; callers add conditions. */
export const selectDivisions = (audience: Audience) =>
  eb
    .selectFrom('agencies_division as division')
    .select((row) => [
      'division.id',
      'division.name',
      'division.slug',
      'division.director_id as director',
      'division.approver_id as approver',
      (audience === 'user' ? emailList(row.ref('division.id')) : sql`'[]'::json`).as(
        'directorate_email_list',
      ),
    ])

const division = (id: Expression<string | null>, audience: Audience) =>
  jsonObjectFrom(selectDivisions(audience).where('division.id', '=', id))

// The offset is an optimization fence, so that Postgres looks up each user by id. Otherwise it joins the
// list with all users again for every project that embeds it.
const receiver = (id: Expression<string>) =>
  eb
    .selectFrom('users_user as receiver')
    .select((row) => [
      'receiver.id',
      'receiver.email',
      fullName({
        first: row.ref('receiver.display_first_name'),
        last: row.ref('receiver.display_last_name'),
      }).as('name'),
    ])
    .where('receiver.id', '=', id)
    .offset(0)
    .as('receiver')

const emailList = (divisionId: Expression<string>) =>
  jsonArrayFrom(
    eb
      .selectFrom('agencies_division_directorate_email_list as listed')
      .innerJoinLateral(
        (row) => receiver(row.ref('listed.user_id')),
        (join) => join.onTrue(),
      )
      .selectAll('receiver')
      .where('listed.division_id', '=', divisionId)
      .orderBy('listed.id'),
  )
