import { Router } from 'express'
import { z } from 'zod'
import { findDivision, findDivisions, findTinyDivision } from '../../db/queries/divisions.ts'
import {
  deleteDivision,
  insertDivision,
  lockDivision,
  replaceEmailList,
  updateDivision,
} from '../../db/writes/division.ts'
import { requireSuperuser } from '../../db/writes/superuser.ts'
import { transact } from '../../db/writes/transact.ts'
import { division } from '../../shared/shapes/business-area.ts'
import { divisionDetail } from '../../shared/shapes/division.ts'
import type { AppDeps } from '../deps.ts'
import { sendCreated, sendJson, sendNoContent, sendPrivate, sendResource } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { requireMatch, tagged } from '../http/tagged.ts'
import { operation } from '../openapi/operation.ts'
import { parse, parseId } from '../parse.ts'
import { listOf, reference, slug, text } from './field.ts'
import { found } from './found.ts'
import { queryAs } from './query-as.ts'
import { written } from './written.ts'

/** Divisions, to which business areas belong. Superusers manage them. */
export function divisionRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  const { db } = deps

  router
    .route('/agencies/divisions')
    .get(listsDivisions, async (req, res) =>
      sendPrivate(res, await queryAs(deps, req, findDivisions)),
    )
    .post(addsDivision, async (req, res) => {
      const { userId } = await deps.requireUser(req)
      const division = await transact(db, async (trx) => {
        await requireSuperuser(trx, userId)
        const id = await insertDivision(trx, parse(newDivision, req.body))
        return tagged(written(await findTinyDivision(trx, id)), await findDivision(trx, id))
      })
      sendCreated(req, res, '/agencies/divisions/:id', division)
    })
    .all(methodNotAllowed('GET', 'POST'))

  router
    .route('/agencies/divisions/:id')
    .get(showsDivision, async (req, res) => {
      const id = parseId(req.params.id, 'Division')
      const division = await queryAs(deps, req, (trx) => findDivision(trx, id))
      sendResource(req, res, found(division, 'Division', id))
    })
    .put(changesDivision, async (req, res) => {
      const id = parseId(req.params.id, 'Division')
      const { userId } = await deps.requireUser(req)
      const division = await transact(db, async (trx) => {
        await lockDivision(trx, id, userId)
        await requireMatch(req, () => findDivision(trx, id))
        await updateDivision(trx, id, parse(divisionPatch, req.body))
        return tagged(written(await findTinyDivision(trx, id)), await findDivision(trx, id))
      })
      sendJson(res, 200, division)
    })
    .delete(deletesDivision, async (req, res) => {
      const id = parseId(req.params.id, 'Division')
      const { userId } = await deps.requireUser(req)
      await transact(db, async (trx) => {
        await lockDivision(trx, id, userId)
        await requireMatch(req, () => findDivision(trx, id))
        await deleteDivision(trx, id)
      })
      sendNoContent(res)
    })
    .all(methodNotAllowed('GET', 'PUT', 'DELETE'))

  router
    .route('/agencies/divisions/:id/email_list')
    .get(showsEmailList, async (req, res) => {
      const id = parseId(req.params.id, 'Division')
      const division = await queryAs(deps, req, (trx) => findTinyDivision(trx, id))
      sendResource(req, res, found(division, 'Division', id))
    })
    .post(replacesEmailList, async (req, res) => {
      const id = parseId(req.params.id, 'Division')
      const { userId } = await deps.requireUser(req)
      const division = await transact(db, async (trx) => {
        await lockDivision(trx, id, userId)
        await requireMatch(req, () => findTinyDivision(trx, id))
        await replaceEmailList(trx, id, parse(emailList, req.body).usersList)
        return tagged(written(await findTinyDivision(trx, id)))
      })
      sendJson(res, 200, division)
    })
    .all(methodNotAllowed('GET', 'POST'))

  return router
}

type Id = string | null | undefined

const columns = <Sent extends { director?: Id; approver?: Id }>({
  director,
  approver,
  ...rest
}: Sent) => ({ ...rest, director_id: director, approver_id: approver })

const divisionFields = z.object({
  name: text(150).min(1),
  slug: slug.min(1),
  director: reference.nullish(),
  approver: reference.nullish(),
})
const newDivision = divisionFields.transform(columns)
const divisionPatch = divisionFields.partial().transform(columns)

const MAX_RECIPIENTS = 500
const emailList = z.object({ usersList: listOf(reference, MAX_RECIPIENTS) })

const listsDivisions = operation({
  summary: 'List all divisions by name',
  who: 'users',
  answers: { 200: z.array(division) },
})

const addsDivision = operation({
  summary: 'Add a division',
  who: 'superusers',
  body: newDivision,
  answers: { 201: division },
})

const showsDivision = operation({
  summary: 'Get a division',
  who: 'users',
  answers: { 200: divisionDetail },
})

const changesDivision = operation({
  summary: 'Change a division',
  who: 'superusers',
  body: divisionPatch,
  answers: { 200: division },
})

const deletesDivision = operation({
  summary: 'Delete a division',
  who: 'superusers',
  answers: { 204: null },
})

const showsEmailList = operation({
  summary: 'Get a division with the names and addresses on its e-mail list',
  who: 'users',
  answers: { 200: division },
})

const replacesEmailList = operation({
  summary: 'Replace the e-mail list of a division',
  who: 'superusers',
  body: emailList,
  isConditional: true,
  answers: { 200: division },
})
