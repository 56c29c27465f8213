import { z } from 'zod'
import { findDivision, findDivisions, findTinyDivision } from '../../db/queries/divisions.ts'
import {
  deleteDivision,
  insertDivision,
  replaceEmailList,
  updateDivision,
} from '../../db/writes/division.ts'
import { division } from '../../shared/shapes/business-area.ts'
import { divisionDetail } from '../../shared/shapes/division.ts'
import { type Endpoint, get, idOf, post, superuserOf, user } from '../endpoints/index.ts'
import { listOf, reference, slug, text } from './field.ts'
import { superuserRows } from './superuser-rows.ts'

const MAX_RECIPIENTS = 500

type Id = string | null | undefined

const columns = <Sent extends { director?: Id; approver?: Id }>({
  director,
  approver,
  ...rest
}: Sent) => ({ ...rest, director_id: director, approver_id: approver })

const divisionFields = z.object({
  name: text(150).min(1),
  slug: slug.min(1),
  director: reference.nullish(),
  approver: reference.nullish(),
})

/** Divisions, to which business areas belong. */
export const divisionEndpoints: readonly Endpoint[] = [
  get('/agencies/divisions', {
    summary: 'List all divisions by name',
    access: user,
    answers: { 200: z.array(division) },
    read: findDivisions,
  }),
  ...superuserRows('/agencies/divisions', {
    table: 'agencies_division',
    entity: 'Division',
    summaries: {
      post: 'Add a division',
      get: 'Get a division',
      put: 'Change a division',
      delete: 'Delete a division',
    },
    shape: divisionDetail,
    find: findDivision,
    changed: { shape: division, find: findTinyDivision },
    added: divisionFields.transform(columns),
    patch: divisionFields.partial().transform(columns),
    insert: insertDivision,
    update: updateDivision,
    remove: deleteDivision,
  }),
  get('/agencies/divisions/:id/email_list', {
    summary: 'Get a division with the names and addresses on its e-mail list',
    access: user,
    params: { id: idOf('Division') },
    answers: { 200: division },
    etag: true,
    read: (trx, { id }) => findTinyDivision(trx, id),
  }),
  post('/agencies/divisions/:id/email_list', {
    summary: 'Replace the e-mail list of a division',
    access: superuserOf('agencies_division', 'Division'),
    params: { id: idOf('Division') },
    body: z.object({ usersList: listOf(reference, MAX_RECIPIENTS) }),
    answers: { 200: division },
    shown: (trx, { id }) => findTinyDivision(trx, id),
    write: (trx, { id }, { body }) => replaceEmailList(trx, id, body.usersList),
  }),
]
