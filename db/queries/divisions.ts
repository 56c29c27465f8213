import { type Kysely, expressionBuilder, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { selectDivisions } from './fragments/business-area.ts'
import { perthTime } from './fragments/perth-time.ts'
import { findArray, findObject } from './text.ts'

const eb = expressionBuilder<Database>()

/** Returns every division, sorted by name. */
export const findDivisions = (trx: Kysely<Database>): Promise<string> =>
  findArray(trx, selectDivisions('user').orderBy('division.name').orderBy('division.id'))

/** Returns one division in the shape of the list, or null. */
export const findTinyDivision = (trx: Kysely<Database>, id: string): Promise<string | null> =>
  findObject(trx, selectDivisions('user').where('division.id', '=', id))

/** Returns one division with creation and update times, or null. Its e-mail list contains only ids. */
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
