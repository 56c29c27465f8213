import { Router } from 'express'
import {
  findDepartmentalService,
  findDepartmentalServices,
} from '../../db/queries/departmental-services.ts'
import type { AppDeps } from '../deps.ts'
import { sendPrivate } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { parseId } from '../parse.ts'
import { found } from './found.ts'
import { queryAs } from './query-as.ts'

/** The services of the department that projects are done for. */
export function departmentalServiceRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })

  router
    .route('/agencies/services')
    .get(async (req, res) => sendPrivate(res, await queryAs(deps, req, findDepartmentalServices)))
    .all(methodNotAllowed('GET'))

  router
    .route('/agencies/services/:id')
    .get(async (req, res) => {
      const id = parseId(req.params.id, 'Service')
      const service = await queryAs(deps, req, (trx) => findDepartmentalService(trx, id))
      sendPrivate(res, found(service, 'Service', id))
    })
    .all(methodNotAllowed('GET'))

  return router
}
