import { expressionBuilder } from 'kysely'
import type { Database } from '../../schema.ts'

/** Selects every area on the map; callers add conditions. */
export const selectAreas = () =>
  expressionBuilder<Database>()
    .selectFrom('locations_area as area')
    .select(['area.id', 'area.name', 'area.area_type'])
