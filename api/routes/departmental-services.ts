import { Router } from 'express'
import type { Transaction } from 'kysely'
import { z } from 'zod'
import {
  findDepartmentalService,
  findDepartmentalServices,
  findTinyDepartmentalService,
} from '../../db/queries/departmental-services.ts'
import type { Database } from '../../db/schema.ts'
import {
  deleteDepartmentalService,
  insertDepartmentalService,
  lockDepartmentalService,
  updateDepartmentalService,
} from '../../db/writes/departmental-service.ts'
import { requireSuperuser } from '../../db/writes/superuser.ts'
import { transact } from '../../db/writes/transact.ts'
import {
  departmentalService,
  departmentalServiceDetail,
} from '../../shared/shapes/departmental-service.ts'
import type { AppDeps } from '../deps.ts'
import { sendCreated, sendJson, sendNoContent, sendPrivate, sendResource } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { requireMatch, tagged } from '../http/tagged.ts'
import { operation } from '../openapi/operation.ts'
import { parse, parseId } from '../parse.ts'
import { reference, text } from './field.ts'
import { found } from './found.ts'
import { queryAs } from './query-as.ts'
import { written } from './written.ts'

/** Services of the department, to which projects belong. Superusers manage them. */
export function departmentalServiceRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  const { db } = deps

  router
    .route('/agencies/services')
    .get(listsServices, async (req, res) =>
      sendPrivate(res, await queryAs(deps, req, findDepartmentalServices)),
    )
    .post(addsService, async (req, res) => {
      const { userId } = await deps.requireUser(req)
      const service = await transact(db, async (trx) => {
        await requireSuperuser(trx, userId)
        const id = await insertDepartmentalService(trx, parse(newService, req.body))
        return show(trx, id)
      })
      sendCreated(req, res, '/agencies/services/:id', service)
    })
    .all(methodNotAllowed('GET', 'POST'))

  router
    .route('/agencies/services/:id')
    .get(showsService, async (req, res) => {
      const id = parseId(req.params.id, ENTITY)
      const service = await queryAs(deps, req, (trx) => findDepartmentalService(trx, id))
      sendResource(req, res, found(service, ENTITY, id))
    })
    .put(changesService, async (req, res) => {
      const id = parseId(req.params.id, ENTITY)
      const { userId } = await deps.requireUser(req)
      const service = await transact(db, async (trx) => {
        await lockDepartmentalService(trx, id, userId)
        await requireMatch(req, () => findDepartmentalService(trx, id))
        await updateDepartmentalService(trx, id, parse(servicePatch, req.body))
        return show(trx, id)
      })
      sendJson(res, 200, service)
    })
    .delete(deletesService, async (req, res) => {
      const id = parseId(req.params.id, ENTITY)
      const { userId } = await deps.requireUser(req)
      await transact(db, async (trx) => {
        await lockDepartmentalService(trx, id, userId)
        await requireMatch(req, () => findDepartmentalService(trx, id))
        await deleteDepartmentalService(trx, id)
      })
      sendNoContent(res)
    })
    .all(methodNotAllowed('GET', 'PUT', 'DELETE'))

  return router
}

const ENTITY = 'Departmental service'

const show = async (trx: Transaction<Database>, id: string) =>
  tagged(
    written(await findTinyDepartmentalService(trx, id)),
    await findDepartmentalService(trx, id),
  )

const columns = <Sent extends { director?: string | null | undefined }>({
  director,
  ...rest
}: Sent) => ({ ...rest, director_id: director })

const serviceFields = z.object({ name: text(320).min(1), director: reference.nullish() })
const newService = serviceFields.transform(columns)
const servicePatch = serviceFields.partial().transform(columns)

const listsServices = operation({
  summary: 'List all services of the department by name',
  who: 'users',
  answers: { 200: z.array(departmentalService) },
})

const addsService = operation({
  summary: 'Add a service of the department',
  who: 'superusers',
  body: newService,
  answers: { 201: departmentalService },
})

const showsService = operation({
  summary: 'Get a service of the department',
  who: 'users',
  answers: { 200: departmentalServiceDetail },
})

const changesService = operation({
  summary: 'Change a service of the department',
  who: 'superusers',
  body: servicePatch,
  answers: { 200: departmentalService },
})

const deletesService = operation({
  summary: 'Delete a service of the department',
  who: 'superusers',
  answers: { 204: null },
})
