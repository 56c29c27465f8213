import { Router } from 'express'
import { findBusinessArea, findLedBusinessAreas } from '../../db/queries/business-areas.ts'
import { businessAreas } from '../../shared/resources/index.ts'
import type { AppDeps } from '../deps.ts'
import { sendPrivate } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { parseId } from '../parse.ts'
import { found } from './found.ts'
import { queryAs } from './query-as.ts'

/** The business areas that people and projects belong to. */
export function businessAreaRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })

  router
    .route('/agencies/business_areas')
    .get(async (req, res) => {
      const answer = await deps.readAs(req, () => deps.reader.read(businessAreas, {}, 'all'))
      deps.sendAnswer(req, res, answer, 'user')
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/agencies/business_areas/mine')
    .get(async (req, res) => {
      const led = await queryAs(deps, req, (trx, { userId }) => findLedBusinessAreas(trx, userId))
      sendPrivate(res, led)
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/agencies/business_areas/:id')
    .get(async (req, res) => {
      const id = parseId(req.params.id, 'Business area')
      const area = await queryAs(deps, req, (trx) => findBusinessArea(trx, id))
      sendPrivate(res, found(area, 'Business area', id))
    })
    .all(methodNotAllowed('GET'))

  return router
}
