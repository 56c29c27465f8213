import { type Kysely, expressionBuilder } from 'kysely'
import type { Database } from '../schema.ts'
import { selectBusinessAreas } from './fragments/business-area.ts'
import { perthTime } from './fragments/perth-time.ts'
import { findArray, findObject } from './text.ts'

const byName = selectBusinessAreas('user').orderBy('area.name').orderBy('area.id')

/** Returns every business area, sorted by name. */
export const findBusinessAreas = (trx: Kysely<Database>): Promise<string> => findArray(trx, byName)

/** Returns the business areas that a user leads, sorted by name. */
export const findLedBusinessAreas = (trx: Kysely<Database>, userId: string): Promise<string> =>
  findArray(trx, byName.where('area.leader_id', '=', userId))

/** Returns one business area in the shape of the list, or null. */
export const findTinyBusinessArea = (trx: Kysely<Database>, id: string): Promise<string | null> =>
  findObject(trx, selectBusinessAreas('user').where('area.id', '=', id))

/** Returns one business area with all its fields, or null. */
export const findBusinessArea = (trx: Kysely<Database>, id: string): Promise<string | null> =>
  findObject(
    trx,
    expressionBuilder<Database>()
      .selectFrom('agencies_businessarea as area')
      .select((row) => [
        'area.id',
        perthTime(row.ref('area.created_at')).as('created_at'),
        perthTime(row.ref('area.updated_at')).as('updated_at'),
        'area.name',
        'area.slug',
        'area.published',
        'area.is_active',
        'area.cost_center',
        'area.old_leader_id',
        'area.old_finance_admin_id',
        'area.old_data_custodian_id',
        'area.focus',
        'area.introduction',
        'area.agency_id as agency',
        'area.division_id as division',
        'area.leader_id as leader',
        'area.finance_admin_id as finance_admin',
        'area.data_custodian_id as data_custodian',
        'area.caretaker_id as caretaker',
      ])
      .where('area.id', '=', id),
  )
