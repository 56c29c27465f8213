import { type Kysely, expressionBuilder } from 'kysely'
import type { Database } from '../schema.ts'
import { selectAreas } from './fragments/area.ts'
import { perthTime } from './fragments/perth-time.ts'
import { findArray, findObject } from './text.ts'

const byName = selectAreas().orderBy('area.name').orderBy('area.id')

/** Returns every area on the map, sorted by name. */
export const findAreas = (trx: Kysely<Database>): Promise<string> => findArray(trx, byName)

/** Returns the areas of one type, sorted by name. */
export const findAreasOfType = (trx: Kysely<Database>, areaType: string): Promise<string> =>
  findArray(trx, byName.where('area.area_type', '=', areaType))

/** Returns one area with its creation and update times, or null. */
export const findArea = (trx: Kysely<Database>, id: string): Promise<string | null> =>
  findObject(
    trx,
    expressionBuilder<Database>()
      .selectFrom('locations_area as area')
      .select((row) => [
        'area.id',
        perthTime(row.ref('area.created_at')).as('created_at'),
        perthTime(row.ref('area.updated_at')).as('updated_at'),
        'area.name',
        'area.area_type',
      ])
      .where('area.id', '=', id),
  )
