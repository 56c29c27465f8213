import { type Kysely, expressionBuilder } from 'kysely'
import type { Database } from '../schema.ts'
import { selectAgencies } from './fragments/agency.ts'
import { perthTime } from './fragments/perth-time.ts'
import { findArray, findObject } from './text.ts'

/** Returns every agency, sorted by name. */
export const findAgencies = (trx: Kysely<Database>): Promise<string> =>
  findArray(trx, selectAgencies().orderBy('agency.name').orderBy('agency.id'))

/** Returns one agency with its creation and update times, or null. */
export const findAgency = (trx: Kysely<Database>, id: string): Promise<string | null> =>
  findObject(
    trx,
    expressionBuilder<Database>()
      .selectFrom('agencies_agency as agency')
      .select((row) => [
        'agency.id',
        perthTime(row.ref('agency.created_at')).as('created_at'),
        perthTime(row.ref('agency.updated_at')).as('updated_at'),
        'agency.name',
        'agency.key_stakeholder_id as key_stakeholder',
        'agency.is_active',
      ])
      .where('agency.id', '=', id),
  )
