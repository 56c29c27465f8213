import { type Kysely, expressionBuilder } from 'kysely'
import type { Database } from '../schema.ts'
import { perthTime } from './fragments/perth-time.ts'
import { findArray, findObject } from './text.ts'

const services = expressionBuilder<Database>()
  .selectFrom('agencies_departmentalservice as service')
  .select(['service.id', 'service.name', 'service.director_id as director'])

/** Every departmental service, by name. */
export const findDepartmentalServices = (trx: Kysely<Database>): Promise<string> =>
  findArray(trx, services.orderBy('service.name').orderBy('service.id'))

/** One departmental service as it stands in the list of them, or null. */
export const findTinyDepartmentalService = (
  trx: Kysely<Database>,
  id: string,
): Promise<string | null> => findObject(trx, services.where('service.id', '=', id))

/** One departmental service with the times of its creation and last change, or null. */
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
