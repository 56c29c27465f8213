import { z } from 'zod'
import { findFilesOfBusinessArea } from '../../db/queries/owned-files.ts'
import {
  findBusinessArea,
  findLedBusinessAreas,
  findTinyBusinessArea,
} from '../../db/queries/business-areas.ts'
import {
  deleteBusinessArea,
  insertBusinessArea,
  toggleBusinessArea,
  updateBusinessArea,
} from '../../db/writes/business-area.ts'
import { businessAreas } from '../../shared/resources/index.ts'
import { businessArea, businessAreaDetail } from '../../shared/shapes/business-area.ts'
import { type Endpoint, get, getCached, idOf, post, superuserOf, user } from '../endpoints/index.ts'
import { reference, slug, text } from './field.ts'
import { superuserRows } from './superuser-rows.ts'

type Id = string | undefined

const columns = <
  Sent extends { division: Id; leader: Id | null; finance_admin: Id; data_custodian: Id },
>({
  division,
  leader,
  finance_admin,
  data_custodian,
  ...rest
}: Sent) => ({
  ...rest,
  division_id: division,
  leader_id: leader,
  finance_admin_id: finance_admin,
  data_custodian_id: data_custodian,
})

/** Treats null like a field that was not sent. */
const unlessNull = <S extends z.ZodType>(schema: S) =>
  schema.nullish().transform((value) => value ?? undefined)

const name = text(140).min(1)
const areaFields = z.object({
  slug: unlessNull(slug),
  division: unlessNull(reference),
  // Unlike in the other fields, null clears the value; so does 0.
  leader: reference.nullish().transform((id) => (id === '0' ? null : id)),
  finance_admin: unlessNull(reference),
  data_custodian: unlessNull(reference),
  focus: unlessNull(text(1250)),
  introduction: unlessNull(text()),
})
const newArea = areaFields
  .extend({ name, agency: reference })
  .transform(({ agency, ...rest }) => ({ ...columns(rest), agency_id: agency }))
const areaPatch = areaFields
  .extend({ name: unlessNull(name), agency: unlessNull(reference) })
  .transform(({ agency, ...rest }) => ({ ...columns(rest), agency_id: agency }))

/** Without a value the flag is toggled. */
const activity = z.object({ is_active: z.boolean().optional() })

/** Business areas of users and projects. */
export const businessAreaEndpoints: readonly Endpoint[] = [
  getCached('/agencies/business_areas', {
    summary: 'List all business areas by name',
    access: user,
    answers: { 200: z.array(businessArea) },
    resource: businessAreas,
    variant: 'all',
  }),
  ...superuserRows('/agencies/business_areas', {
    table: 'agencies_businessarea',
    entity: 'Business area',
    summaries: {
      post: 'Add a business area',
      get: 'Get a business area',
      put: 'Change a business area',
      delete: 'Delete a business area',
    },
    shape: businessAreaDetail,
    find: findBusinessArea,
    changed: { shape: businessArea, find: findTinyBusinessArea },
    added: newArea,
    patch: areaPatch,
    insert: insertBusinessArea,
    update: updateBusinessArea,
    remove: deleteBusinessArea,
    findFiles: findFilesOfBusinessArea,
  }),
  get('/agencies/business_areas/mine', {
    summary: 'List the business areas that the user leads',
    access: user,
    answers: { 200: z.array(businessArea) },
    read: (trx, _, { user }) => findLedBusinessAreas(trx, user.userId),
  }),
  post('/agencies/business_areas/setactive/:id', {
    summary: 'Activate or deactivate a business area',
    access: superuserOf('agencies_businessarea', 'Business area'),
    params: { id: idOf('Business area') },
    body: activity,
    isBodyOptional: true,
    answers: { 200: businessAreaDetail },
    shown: (trx, { id }) => findBusinessArea(trx, id),
    write: (trx, { id }, { body }) => toggleBusinessArea(trx, id, body.is_active),
  }),
]
