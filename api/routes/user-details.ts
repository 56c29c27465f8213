import { Router } from 'express'
import { z } from 'zod'
import { findMembership } from '../../db/queries/membership.ts'
import { findPersonalInformation } from '../../db/queries/personal-information.ts'
import { lockMembership, updateMembership } from '../../db/writes/membership.ts'
import { updatePersonalInformation } from '../../db/writes/personal-information.ts'
import { transact } from '../../db/writes/transact.ts'
import { lockUser } from '../../db/writes/user.ts'
import { membership } from '../../shared/shapes/membership.ts'
import { personalInformation } from '../../shared/shapes/personal-information.ts'
import type { AppDeps } from '../deps.ts'
import { sendJson } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { requireMatch, tagged } from '../http/tagged.ts'
import { operation } from '../openapi/operation.ts'
import { parse, parseId } from '../parse.ts'
import { reference, text } from './field.ts'
import { written } from './written.ts'

/** Details of users: personal information, and membership in the organisation. */
export function userDetailRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  const { db } = deps

  router
    .route('/users/:id/pi')
    .put(changesInformation, async (req, res) => {
      const id = parseId(req.params.id, 'User')
      const { userId } = await deps.requireUser(req)
      const information = await transact(db, async (trx) => {
        const user = await lockUser(trx, id, userId)
        await requireMatch(req, () => findPersonalInformation(trx, id))
        await updatePersonalInformation(trx, user, parse(informationPatch, req.body))
        return tagged(written(await findPersonalInformation(trx, id)))
      })
      sendJson(res, 200, information)
    })
    .all(methodNotAllowed('PUT'))

  router
    .route('/users/:id/membership')
    .put(changesMembership, async (req, res) => {
      const id = parseId(req.params.id, 'User')
      const { userId } = await deps.requireUser(req)
      const membership = await transact(db, async (trx) => {
        await lockMembership(trx, id, userId)
        await requireMatch(req, () => findMembership(trx, id))
        await updateMembership(trx, id, parse(membershipPatch, req.body))
        return tagged(written(await findMembership(trx, id)))
      })
      sendJson(res, 200, membership)
    })
    .all(methodNotAllowed('PUT'))

  return router
}

const informationPatch = z
  .object({
    display_first_name: text(201).nullable(),
    display_last_name: text(201).nullable(),
    title: text(20).nullable(),
    phone: text(20).nullable(),
    fax: text(20).nullable(),
  })
  .partial()

const membershipPatch = z
  .object({
    role: text(30).nullable(),
    business_area: reference.nullable(),
    affiliation: reference.nullable(),
    branch: reference.nullable(),
  })
  .partial()
  .transform(({ business_area, affiliation, branch, ...rest }) => ({
    ...rest,
    business_area_id: business_area,
    affiliation_id: affiliation,
    branch_id: branch,
  }))

const OWN = 'the user and superusers'

const changesInformation = operation({
  summary: 'Change the personal information of a user',
  who: OWN,
  body: informationPatch,
  answers: { 200: personalInformation },
})

const changesMembership = operation({
  summary: 'Change the membership of a user in the organisation',
  who: OWN,
  body: membershipPatch,
  answers: { 200: membership },
})
