import { type Expression, sql } from 'kysely'
import { jsonObjectFrom } from 'kysely/helpers/postgres'
import { selectDocuments } from './document.ts'

/** Selects every document with its year of creation in Perth; callers add conditions. */
export const selectTinyDocuments = () =>
  selectDocuments().select((row) =>
    sql<number>`extract(
      year from ${row.ref('document.created_at')} at time zone interval '8 hours'
    )`.as('created_year'),
  )

/** Returns the document with this id and its year of creation. */
export const tinyDocument = (id: Expression<string>) =>
  jsonObjectFrom(selectTinyDocuments().where('document.id', '=', id))
