import { Router } from 'express'
import { z } from 'zod'
import { findAgencies, findAgency } from '../../db/queries/agencies.ts'
import { findBranch, findTinyBranch, searchBranches } from '../../db/queries/branches.ts'
import { deleteBranch, insertBranch, lockBranch, updateBranch } from '../../db/writes/branch.ts'
import { requireSuperuser } from '../../db/writes/superuser.ts'
import { transact } from '../../db/writes/transact.ts'
import { branches } from '../../shared/resources/index.ts'
import { agency, agencyDetail } from '../../shared/shapes/agency.ts'
import { branch, branchDetail, branchPage } from '../../shared/shapes/branch.ts'
import type { AppDeps } from '../deps.ts'
import { sendCreated, sendJson, sendNoContent, sendPrivate, sendResource } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { requireMatch, tagged } from '../http/tagged.ts'
import { operation } from '../openapi/operation.ts'
import { parse, parseId } from '../parse.ts'
import { reference, text } from './field.ts'
import { found } from './found.ts'
import { page, searchTerm } from './parameter.ts'
import { parseQuery } from './parse-query.ts'
import { queryAs } from './query-as.ts'
import { written } from './written.ts'

/**
 * Agencies and their branches. Mount it after the other routes below `agencies/`: `:id` matches any
 * word.
 */
export function agencyRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  const { db, reader } = deps

  router
    .route('/agencies/branches')
    .get(listsBranches, async (req, res) => {
      const { searchTerm: term, ...wanted } = await parseQuery(deps, req, branchQuery)
      if (term === undefined) {
        const answer = await deps.readAs(req, () => reader.read(req, branches, {}, 'all'))
        return deps.sendAnswer(req, res, answer, 'user')
      }
      const options = { searchTerm: term, page: wanted.page }
      const found = await queryAs(deps, req, (trx) => searchBranches(trx, options), 'search')
      sendPrivate(res, found, 'search')
    })
    .post(addsBranch, async (req, res) => {
      const { userId } = await deps.requireUser(req)
      const branch = await transact(db, async (trx) => {
        await requireSuperuser(trx, userId)
        const id = await insertBranch(trx, parse(newBranch, req.body))
        return tagged(written(await findTinyBranch(trx, id)), await findBranch(trx, id))
      })
      sendCreated(req, res, '/agencies/branches/:id', branch)
    })
    .all(methodNotAllowed('GET', 'POST'))

  router
    .route('/agencies/branches/:id')
    .get(showsBranch, async (req, res) => {
      const id = parseId(req.params.id, 'Branch')
      const branch = await queryAs(deps, req, (trx) => findBranch(trx, id))
      sendResource(req, res, found(branch, 'Branch', id))
    })
    .put(changesBranch, async (req, res) => {
      const id = parseId(req.params.id, 'Branch')
      const { userId } = await deps.requireUser(req)
      const branch = await transact(db, async (trx) => {
        await lockBranch(trx, id, userId)
        await requireMatch(req, () => findBranch(trx, id))
        await updateBranch(trx, id, parse(branchPatch, req.body))
        return tagged(written(await findTinyBranch(trx, id)), await findBranch(trx, id))
      })
      sendJson(res, 200, branch)
    })
    .delete(deletesBranch, async (req, res) => {
      const id = parseId(req.params.id, 'Branch')
      const { userId } = await deps.requireUser(req)
      await transact(db, async (trx) => {
        await lockBranch(trx, id, userId)
        await requireMatch(req, () => findBranch(trx, id))
        await deleteBranch(trx, id)
      })
      sendNoContent(res)
    })
    .all(methodNotAllowed('GET', 'PUT', 'DELETE'))

  router
    .route('/agencies/list')
    .get(listsAgencies, async (req, res) =>
      sendPrivate(res, await queryAs(deps, req, findAgencies)),
    )
    .all(methodNotAllowed('GET'))

  // After the other routes: `:id` matches any word.
  router
    .route('/agencies/:id')
    .get(showsAgency, async (req, res) => {
      const id = parseId(req.params.id, 'Agency')
      const agency = await queryAs(deps, req, (trx) => findAgency(trx, id))
      sendPrivate(res, found(agency, 'Agency', id))
    })
    .all(methodNotAllowed('GET'))

  return router
}

const branchQuery = z.object({ searchTerm, page })

type Id = string | null | undefined

const columns = <Sent extends { agency?: Id; manager?: Id }>({
  agency,
  manager,
  ...rest
}: Sent) => ({
  ...rest,
  agency_id: agency,
  manager_id: manager,
})

const branchFields = z.object({
  name: text(140).min(1),
  agency: reference.nullish(),
  manager: reference.nullish(),
})
const newBranch = branchFields.transform(columns)
const branchPatch = branchFields.partial().transform(columns)

const listsBranches = operation({
  summary: 'List all branches, or a page of search results',
  who: 'users',
  query: branchQuery,
  answers: { 200: z.union([z.array(branch), branchPage]) },
})

const addsBranch = operation({
  summary: 'Add a branch',
  who: 'superusers',
  body: newBranch,
  answers: { 201: branch },
})

const showsBranch = operation({
  summary: 'Get a branch',
  who: 'users',
  answers: { 200: branchDetail },
})

const changesBranch = operation({
  summary: 'Change a branch',
  who: 'superusers',
  body: branchPatch,
  answers: { 200: branch },
})

const deletesBranch = operation({
  summary: 'Delete a branch',
  who: 'superusers',
  answers: { 204: null },
})

const listsAgencies = operation({
  summary: 'List all agencies by name',
  who: 'users',
  answers: { 200: z.array(agency) },
})

const showsAgency = operation({
  summary: 'Get an agency',
  who: 'users',
  answers: { 200: agencyDetail },
})
