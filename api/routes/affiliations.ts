import { Router } from 'express'
import { z } from 'zod'
import { findAffiliation, searchAffiliations } from '../../db/queries/affiliations.ts'
import {
  deleteAffiliation,
  deleteOrphanedAffiliations,
  insertAffiliation,
  lockAffiliation,
  mergeAffiliations,
  renameAffiliation,
} from '../../db/writes/affiliation.ts'
import { requireSuperuser } from '../../db/writes/superuser.ts'
import { transact } from '../../db/writes/transact.ts'
import { affiliations } from '../../shared/resources/index.ts'
import { affiliation, affiliationPage } from '../../shared/shapes/affiliation.ts'
import type { AppDeps } from '../deps.ts'
import {
  sendCreated,
  sendJson,
  sendNoContent,
  sendNothing,
  sendPrivate,
  sendResource,
} from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { requireMatch, tagged } from '../http/tagged.ts'
import { operation } from '../openapi/operation.ts'
import { parse, parseId } from '../parse.ts'
import { listOf, reference, text } from './field.ts'
import { found } from './found.ts'
import { page, searchTerm } from './parameter.ts'
import { parseQuery } from './parse-query.ts'
import { queryAs } from './query-as.ts'
import { written } from './written.ts'

/** Affiliations: the organisations of users. Superusers manage them. */
export function affiliationRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  const { db } = deps

  router
    .route('/agencies/affiliations')
    .get(listsAffiliations, async (req, res) => {
      const { searchTerm: term, ...wanted } = await parseQuery(deps, req, listQuery)
      if (term === undefined) {
        const answer = await deps.readAs(req, () => deps.reader.read(req, affiliations, {}, 'all'))
        return deps.sendAnswer(req, res, answer, 'user')
      }
      const options = { searchTerm: term, page: wanted.page }
      sendPrivate(
        res,
        await queryAs(deps, req, (trx) => searchAffiliations(trx, options), 'search'),
        'search',
      )
    })
    .post(addsAffiliation, async (req, res) => {
      const { userId } = await deps.requireUser(req)
      const affiliation = await transact(db, async (trx) => {
        await requireSuperuser(trx, userId)
        const id = await insertAffiliation(trx, parse(newAffiliation, req.body).name)
        return tagged(written(await findAffiliation(trx, id)))
      })
      sendCreated(req, res, '/agencies/affiliations/:id', affiliation)
    })
    .all(methodNotAllowed('GET', 'POST'))

  router
    .route('/agencies/affiliations/merge')
    .post(mergesAffiliations, async (req, res) => {
      const { userId } = await deps.requireUser(req)
      await transact(db, async (trx) => {
        await requireSuperuser(trx, userId)
        await mergeAffiliations(trx, parse(merge, req.body))
      })
      sendJson(res, 200, { message: 'Merged!' })
    })
    .all(methodNotAllowed('POST'))

  router
    .route('/agencies/affiliations/clean_orphaned')
    .post(deletesOrphans, async (req, res) => {
      const { userId } = await deps.requireUser(req)
      const { deleted, total } = await transact(db, async (trx) => {
        await requireSuperuser(trx, userId)
        return deleteOrphanedAffiliations(trx)
      })
      const counts = { deleted_count: deleted.length, total_count: total }
      sendJson(
        res,
        200,
        deleted.length === 0
          ? { message: 'No orphaned affiliations found', ...counts }
          : {
              message: `Cleaned ${deleted.length} orphaned affiliation(s)`,
              ...counts,
              deleted_names: deleted.slice(0, MAX_NAMES),
            },
      )
    })
    .all(methodNotAllowed('POST'))

  router
    .route('/agencies/affiliations/:id')
    .get(showsAffiliation, async (req, res) => {
      const id = parseId(req.params.id, 'Affiliation')
      const affiliation = await queryAs(deps, req, (trx) => findAffiliation(trx, id))
      // Clients request 0 for a user without an affiliation, and expect an empty body.
      if (id === '0') return sendNothing(res)
      sendResource(req, res, found(affiliation, 'Affiliation', id))
    })
    .put(renamesAffiliation, async (req, res) => {
      const id = parseId(req.params.id, 'Affiliation')
      const { userId } = await deps.requireUser(req)
      const affiliation = await transact(db, async (trx) => {
        await lockAffiliation(trx, id, userId)
        await requireMatch(req, () => findAffiliation(trx, id))
        const { name } = parse(affiliationPatch, req.body)
        if (name !== undefined) await renameAffiliation(trx, id, name)
        return tagged(written(await findAffiliation(trx, id)))
      })
      sendJson(res, 200, affiliation)
    })
    .delete(deletesAffiliation, async (req, res) => {
      const id = parseId(req.params.id, 'Affiliation')
      const { userId } = await deps.requireUser(req)
      await transact(db, async (trx) => {
        await lockAffiliation(trx, id, userId)
        await requireMatch(req, () => findAffiliation(trx, id))
        await deleteAffiliation(trx, id)
      })
      sendNoContent(res)
    })
    .all(methodNotAllowed('GET', 'PUT', 'DELETE'))

  return router
}

const listQuery = z.object({ searchTerm, page })

/** Maximum number of names of deleted affiliations in the response. */
const MAX_NAMES = 10

const newAffiliation = z.object({ name: text(250).min(1) })
const affiliationPatch = newAffiliation.partial()

const MAX_MERGED = 20
const named = z.object({ pk: reference })
const merge = z
  .object({ primaryAffiliation: named, secondaryAffiliations: listOf(named, MAX_MERGED) })
  .transform(({ primaryAffiliation, secondaryAffiliations }) => ({
    primaryId: primaryAffiliation.pk,
    secondaryIds: secondaryAffiliations.map(({ pk }) => pk),
  }))

const listsAffiliations = operation({
  summary: 'List all affiliations, or a page of search results',
  who: 'users',
  query: listQuery,
  answers: { 200: z.union([z.array(affiliation), affiliationPage]) },
})

const addsAffiliation = operation({
  summary: 'Add an affiliation',
  who: 'superusers',
  body: newAffiliation,
  answers: { 201: affiliation },
})

const mergesAffiliations = operation({
  summary: 'Merge affiliations into one',
  who: 'superusers',
  body: merge,
  answers: { 200: z.strictObject({ message: z.string() }) },
})

const deletesOrphans = operation({
  summary: 'Delete all affiliations that are not in use',
  who: 'superusers',
  answers: {
    200: z.strictObject({
      message: z.string(),
      deleted_count: z.int(),
      total_count: z.int(),
      deleted_names: z.array(z.string()).optional(),
    }),
  },
})

const showsAffiliation = operation({
  summary: 'Get an affiliation',
  who: 'users',
  answers: { 200: affiliation },
  isEmpty: 'for the id 0, which stands for no affiliation',
})

const renamesAffiliation = operation({
  summary: 'Rename an affiliation, also in the lists of projects',
  who: 'superusers',
  body: affiliationPatch,
  answers: { 200: affiliation },
})

const deletesAffiliation = operation({
  summary: 'Delete an affiliation',
  who: 'superusers',
  answers: { 204: null },
})
