import { type Kysely, expressionBuilder, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { selectDivisions } from './fragments/business-area.ts'
import { perthTime } from './fragments/perth-time.ts'
import { findArray, findObject } from './text.ts'

const eb = expressionBuilder<Database>()

/** Every division, by name. */
export const findDivisions = (trx: Kysely<Database>): Promise<string> =>
  findArray(trx, selectDivisions('user').orderBy('division.name').orderBy('division.id'))

/** One division as it stands in the list of divisions, or null. */
export const findTinyDivision = (trx: Kysely<Database>, id: string): Promise<string | null> =>
  findObject(trx, selectDivisions('user').where('division.id', '=', id))

/** One division with its times, or null. Of those on its e-mail list it names the ids only. */
export const findDivision = (trx: Kysely<Database>, id: string): Promise<string | null> =>
  findObject(
    trx,
    eb
      .selectFrom('agencies_division as division')
      .select((row) => [
        'division.id',
        perthTime(row.ref('division.created_at')).as('created_at'),
        perthTime(row.ref('division.updated_at')).as('updated_at'),
        'division.name',
        'division.slug',
        'division.director_id as director',
        'division.approver_id as approver',
        sql`array(${eb
          .selectFrom('agencies_division_directorate_email_list as listed')
          .select('listed.user_id')
          .where('listed.division_id', '=', row.ref('division.id'))
          .orderBy('listed.id')})`.as('directorate_email_list'),
      ])
      .where('division.id', '=', id),
  )
