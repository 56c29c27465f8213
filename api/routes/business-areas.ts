import { Router } from 'express'
import { z } from 'zod'
import {
  findBusinessArea,
  findLedBusinessAreas,
  findTinyBusinessArea,
} from '../../db/queries/business-areas.ts'
import {
  deleteBusinessArea,
  insertBusinessArea,
  lockBusinessArea,
  toggleBusinessArea,
  updateBusinessArea,
} from '../../db/writes/business-area.ts'
import { requireSuperuser } from '../../db/writes/superuser.ts'
import { transact } from '../../db/writes/transact.ts'
import { businessAreas } from '../../shared/resources/index.ts'
import { businessArea, businessAreaDetail } from '../../shared/shapes/business-area.ts'
import type { AppDeps } from '../deps.ts'
import { sendCreated, sendJson, sendNoContent, sendPrivate, sendResource } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { requireMatch, tagged } from '../http/tagged.ts'
import { operation } from '../openapi/operation.ts'
import { parse, parseId } from '../parse.ts'
import { reference, slug, text } from './field.ts'
import { found } from './found.ts'
import { queryAs } from './query-as.ts'
import { written } from './written.ts'

/** Business areas of users and projects. Superusers manage them. */
export function businessAreaRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  const { db } = deps

  router
    .route('/agencies/business_areas')
    .get(listsAreas, async (req, res) => {
      const answer = await deps.readAs(req, () => deps.reader.read(req, businessAreas, {}, 'all'))
      deps.sendAnswer(req, res, answer, 'user')
    })
    .post(addsArea, async (req, res) => {
      const { userId } = await deps.requireUser(req)
      const area = await transact(db, async (trx) => {
        await requireSuperuser(trx, userId)
        const id = await insertBusinessArea(trx, parse(newArea, req.body))
        return tagged(written(await findTinyBusinessArea(trx, id)), await findBusinessArea(trx, id))
      })
      sendCreated(req, res, '/agencies/business_areas/:id', area)
    })
    .all(methodNotAllowed('GET', 'POST'))

  router
    .route('/agencies/business_areas/mine')
    .get(listsLedAreas, async (req, res) => {
      const led = await queryAs(deps, req, (trx, { userId }) => findLedBusinessAreas(trx, userId))
      sendPrivate(res, led)
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/agencies/business_areas/:id')
    .get(showsArea, async (req, res) => {
      const id = parseId(req.params.id, 'Business area')
      const area = await queryAs(deps, req, (trx) => findBusinessArea(trx, id))
      sendResource(req, res, found(area, 'Business area', id))
    })
    .put(changesArea, async (req, res) => {
      const id = parseId(req.params.id, 'Business area')
      const { userId } = await deps.requireUser(req)
      const area = await transact(db, async (trx) => {
        await lockBusinessArea(trx, id, userId)
        await requireMatch(req, () => findBusinessArea(trx, id))
        await updateBusinessArea(trx, id, parse(areaPatch, req.body))
        return tagged(written(await findTinyBusinessArea(trx, id)), await findBusinessArea(trx, id))
      })
      sendJson(res, 200, area)
    })
    .delete(deletesArea, async (req, res) => {
      const id = parseId(req.params.id, 'Business area')
      const { userId } = await deps.requireUser(req)
      await transact(db, async (trx) => {
        await lockBusinessArea(trx, id, userId)
        await requireMatch(req, () => findBusinessArea(trx, id))
        await deleteBusinessArea(trx, id)
      })
      sendNoContent(res)
    })
    .all(methodNotAllowed('GET', 'PUT', 'DELETE'))

  router
    .route('/agencies/business_areas/setactive/:id')
    .post(togglesArea, async (req, res) => {
      const id = parseId(req.params.id, 'Business area')
      const { userId } = await deps.requireUser(req)
      const area = await transact(db, async (trx) => {
        await lockBusinessArea(trx, id, userId)
        await requireMatch(req, () => findBusinessArea(trx, id))
        await toggleBusinessArea(trx, id, parse(activity, req.body).is_active)
        return tagged(written(await findBusinessArea(trx, id)))
      })
      sendJson(res, 200, area)
    })
    .all(methodNotAllowed('POST'))

  return router
}

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

const listsAreas = operation({
  summary: 'List all business areas by name',
  who: 'users',
  answers: { 200: z.array(businessArea) },
})

const addsArea = operation({
  summary: 'Add a business area',
  who: 'superusers',
  body: newArea,
  answers: { 201: businessArea },
})

const listsLedAreas = operation({
  summary: 'List the business areas that the user leads',
  who: 'users',
  answers: { 200: z.array(businessArea) },
})

const showsArea = operation({
  summary: 'Get a business area',
  who: 'users',
  answers: { 200: businessAreaDetail },
})

const changesArea = operation({
  summary: 'Change a business area',
  who: 'superusers',
  body: areaPatch,
  answers: { 200: businessArea },
})

const deletesArea = operation({
  summary: 'Delete a business area',
  who: 'superusers',
  answers: { 204: null },
})

const togglesArea = operation({
  summary: 'Activate or deactivate a business area',
  who: 'superusers',
  body: activity,
  isBodyOptional: true,
  isConditional: true,
  answers: { 200: businessAreaDetail },
})
