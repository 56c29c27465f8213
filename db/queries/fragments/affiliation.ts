import { type Expression, expressionBuilder } from 'kysely'
import { jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'
import { perthTime } from './perth-time.ts'

/** Selects every affiliation; callers add conditions. */
export const selectAffiliations = () =>
  expressionBuilder<Database>()
    .selectFrom('agencies_affiliation as affiliation')
    .select((row) => [
      'affiliation.id',
      perthTime(row.ref('affiliation.created_at')).as('created_at'),
      perthTime(row.ref('affiliation.updated_at')).as('updated_at'),
      'affiliation.name',
    ])

/** Returns the affiliation with this id, or null. */
export const affiliation = (id: Expression<string | null>) =>
  jsonObjectFrom(selectAffiliations().where('affiliation.id', '=', id))
