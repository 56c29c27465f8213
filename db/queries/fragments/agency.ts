import { type Expression, expressionBuilder } from 'kysely'
import { jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'
import { fileUrl } from './file-url.ts'

const eb = expressionBuilder<Database>()

/** Selects every agency; callers add conditions. */
export const selectAgencies = () =>
  eb.selectFrom('agencies_agency as agency').select((row) => [
    'agency.id',
    'agency.name',
    'agency.key_stakeholder_id as key_stakeholder',
    'agency.is_active',
    jsonObjectFrom(
      eb
        .selectFrom('medias_agencyimage as picture')
        .select((picture) => ['picture.id', fileUrl(picture.ref('picture.file')).as('file')])
        .where('picture.agency_id', '=', row.ref('agency.id')),
    ).as('image'),
  ])

/** Returns the agency with this id, or null. */
export const agency = (id: Expression<string | null>) =>
  jsonObjectFrom(selectAgencies().where('agency.id', '=', id))
