import { Router } from 'express'
import { z } from 'zod'
import { findAffiliation, searchAffiliations } from '../../db/queries/affiliations.ts'
import { affiliations } from '../../shared/resources/index.ts'
import type { AppDeps } from '../deps.ts'
import { sendNothing, sendPrivate } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { parse, parseId } from '../parse.ts'
import { found } from './found.ts'
import { page, searchTerm } from './parameter.ts'
import { queryAs } from './query-as.ts'

/** The organisations that people come from. */
export function affiliationRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })

  router
    .route('/agencies/affiliations')
    .get(async (req, res) => {
      const { searchTerm: term, ...wanted } = parse(listQuery, req.query)
      if (term === undefined) {
        const answer = await deps.readAs(req, () => deps.reader.read(affiliations, {}, 'all'))
        return deps.sendAnswer(req, res, answer, 'user')
      }
      const options = { searchTerm: term, page: wanted.page }
      sendPrivate(
        res,
        await queryAs(deps, req, (trx) => searchAffiliations(trx, options)),
        'search',
      )
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/agencies/affiliations/:id')
    .get(async (req, res) => {
      const id = parseId(req.params.id, 'Affiliation')
      const affiliation = await queryAs(deps, req, (trx) => findAffiliation(trx, id))
      // Clients ask for 0 where somebody has none, and take nothing for an answer.
      if (id === '0') return sendNothing(res)
      sendPrivate(res, found(affiliation, 'Affiliation', id))
    })
    .all(methodNotAllowed('GET'))

  return router
}

const listQuery = z.object({ searchTerm, page })
