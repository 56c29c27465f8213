import { type Kysely, expressionBuilder } from 'kysely'
import type { Database } from '../schema.ts'
import { perthTime } from './fragments/perth-time.ts'
import { findArray, findObject } from './text.ts'

const services = expressionBuilder<Database>()
  .selectFrom('agencies_departmentalservice as service')
  .select(['service.id', 'service.name', 'service.director_id as director'])

/** Returns every departmental service, sorted by name. */
export const findDepartmentalServices = (trx: Kysely<Database>): Promise<string> =>
  findArray(trx, services.orderBy('service.name').orderBy('service.id'))

/** Returns one departmental service in the shape of the list, or null. */
export const findTinyDepartmentalService = (
  trx: Kysely<Database>,
  id: string,
): Promise<string | null> => findObject(trx, services.where('service.id', '=', id))

/** Returns one departmental service with its creation and update times, or null. */
export const findDepartmentalService = (
  trx: Kysely<Database>,
  id: string,
): Promise<string | null> =>
  findObject(
    trx,
    services
      .select((row) => [
        perthTime(row.ref('service.created_at')).as('created_at'),
        perthTime(row.ref('service.updated_at')).as('updated_at'),
      ])
      .where('service.id', '=', id),
  )
