import { Router } from 'express'
import { findDivision, findDivisions, findTinyDivision } from '../../db/queries/divisions.ts'
import type { AppDeps } from '../deps.ts'
import { sendPrivate } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { parseId } from '../parse.ts'
import { found } from './found.ts'
import { queryAs } from './query-as.ts'

/** The divisions that business areas belong to. */
export function divisionRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })

  router
    .route('/agencies/divisions')
    .get(async (req, res) => sendPrivate(res, await queryAs(deps, req, findDivisions)))
    .all(methodNotAllowed('GET'))

  router
    .route('/agencies/divisions/:id')
    .get(async (req, res) => {
      const id = parseId(req.params.id, 'Division')
      const division = await queryAs(deps, req, (trx) => findDivision(trx, id))
      sendPrivate(res, found(division, 'Division', id))
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/agencies/divisions/:id/email_list')
    .get(async (req, res) => {
      const id = parseId(req.params.id, 'Division')
      const division = await queryAs(deps, req, (trx) => findTinyDivision(trx, id))
      sendPrivate(res, found(division, 'Division', id))
    })
    .all(methodNotAllowed('GET'))

  return router
}
