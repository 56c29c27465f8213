import { type RequestHandler, Router } from 'express'
import { z } from 'zod'
import { findArea } from '../../db/queries/areas.ts'
import { areas } from '../../shared/resources/index.ts'
import { area, areaDetail } from '../../shared/shapes/area.ts'
import type { AppDeps } from '../deps.ts'
import { sendPrivate } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { operation } from '../openapi/operation.ts'
import { parseId } from '../parse.ts'
import { found } from './found.ts'
import { queryAs } from './query-as.ts'

/** Areas on the map. */
export function locationRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })

  for (const [path, variant] of LISTS) {
    router.route(`/locations/${path}`).get(listsAreas, list(variant)).all(methodNotAllowed('GET'))
  }

  router
    .route('/locations/:id')
    .get(showsArea, async (req, res) => {
      const id = parseId(req.params.id, 'Area')
      const area = await queryAs(deps, req, (trx) => findArea(trx, id))
      sendPrivate(res, found(area, 'Area', id))
    })
    .all(methodNotAllowed('GET'))

  return router

  function list(variant: string): RequestHandler {
    return async (req, res) => {
      const answer = await deps.readAs(req, () => deps.reader.read(req, areas, {}, variant))
      deps.sendAnswer(req, res, answer, 'user')
    }
  }
}

// The last segment of a path, and the cache variant: the type of the listed areas.
const LISTS = [
  ['list', 'all'],
  ['dbcaregions', 'dbcaregion'],
  ['dbcadistricts', 'dbcadistrict'],
  ['ibra', 'ibra'],
  ['imcra', 'imcra'],
  ['nrm', 'nrm'],
] as const

const listsAreas = operation({
  summary: 'List areas on the map by name',
  who: 'users',
  answers: { 200: z.array(area) },
})

const showsArea = operation({
  summary: 'Get an area on the map',
  who: 'users',
  answers: { 200: areaDetail },
})
