import { type Expression, sql } from 'kysely'
import { jsonObjectFrom } from 'kysely/helpers/postgres'
import { selectDocuments } from './document.ts'

/** Every document with the year in which it was begun, in Perth (S.TinyDoc); to be narrowed. */
export const selectTinyDocuments = () =>
  selectDocuments().select((row) =>
    sql<number>`extract(
      year from ${row.ref('document.created_at')} at time zone interval '8 hours'
    )`.as('created_year'),
  )

/** The document with this id, with the year in which it was begun. */
export const tinyDocument = (id: Expression<string>) =>
  jsonObjectFrom(selectTinyDocuments().where('document.id', '=', id))
