import { expressionBuilder } from 'kysely'
import type { Database } from '../../schema.ts'

/** Every area on the map (S.Area); to be narrowed. */
export const selectAreas = () =>
  expressionBuilder<Database>()
    .selectFrom('locations_area as area')
    .select(['area.id', 'area.name', 'area.area_type'])
