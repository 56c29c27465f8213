import { Router } from 'express'
import { z } from 'zod'
import { findMember } from '../../db/queries/member.ts'
import {
  deleteMember,
  insertMember,
  lockMember,
  promoteMember,
  updateMember,
} from '../../db/writes/member.ts'
import { lockNamedProject, requireNamedLeader } from '../../db/writes/project.ts'
import { transact } from '../../db/writes/transact.ts'
import { keepUsers } from '../../db/writes/user-locks.ts'
import { PublicError } from '../../shared/errors.ts'
import { tinyMember } from '../../shared/shapes/member.ts'
import type { AppDeps } from '../deps.ts'
import { sendCreated, sendJson, sendNoContent, sendResource } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { requireMatch, tagged } from '../http/tagged.ts'
import { operation } from '../openapi/operation.ts'
import { parse, parseId } from '../parse.ts'
import { ignoringNulls, integer, reference, text } from './field.ts'
import { peek } from './peek.ts'
import { written } from './written.ts'

/** Members of projects. Leaders of a project manage them. */
export function projectMemberRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  const { db, reader } = deps

  router
    .route('/projects/project_members')
    .post(addsMember, async (req, res) => {
      const { userId } = await deps.requireUser(req)
      const { member, json } = await transact(db, async (trx) => {
        await requireNamedLeader(trx, peek(ofProject, req.body)?.project, userId)
        const member = parse(newMember, req.body)
        await keepUsers(trx, [member.user_id])
        await lockNamedProject(trx, member.project_id, userId)
        await insertMember(trx, member)
        const found = written(await findMember(trx, member.project_id, member.user_id))
        return { member, json: tagged(found) }
      })
      const path = `/projects/project_members/${member.project_id}/${member.user_id}`
      sendCreated(req, res, path, json)
    })
    .all(methodNotAllowed('POST'))

  router
    .route('/projects/project_members/:project/:user')
    .get(showsMember, async (req, res) => {
      const { projectId, memberId } = parseMember(req.params)
      await deps.requireUser(req)
      const member = await reader.query((trx) => findMember(trx, projectId, memberId))
      if (member === null) {
        const detail = `Member not found for project ${projectId} and user ${memberId}`
        throw new PublicError('not_found', detail)
      }
      sendResource(req, res, member)
    })
    .put(changesMember, async (req, res) => {
      const member = parseMember(req.params)
      const { userId } = await deps.requireUser(req)
      const found = await transact(db, async (trx) => {
        await lockMember(trx, member, userId)
        const show = () => findMember(trx, member.projectId, member.memberId)
        await requireMatch(req, show)
        await updateMember(trx, member, parse(memberPatch, req.body))
        return tagged(written(await show()))
      })
      sendJson(res, 200, found)
    })
    .delete(removesMember, async (req, res) => {
      const member = parseMember(req.params)
      const { userId } = await deps.requireUser(req)
      await transact(db, async (trx) => {
        await lockMember(trx, member, userId)
        await requireMatch(req, () => findMember(trx, member.projectId, member.memberId))
        await deleteMember(trx, member)
      })
      sendNoContent(res)
    })
    .all(methodNotAllowed('GET', 'PUT', 'DELETE'))

  router
    .route('/projects/promote')
    .post(promotesMember, async (req, res) => {
      const { userId } = await deps.requireUser(req)
      const found = await transact(db, async (trx) => {
        // If the body has a project, `lockMember` checks the permission.
        if (!peek(promotion, req.body)) await requireNamedLeader(trx, undefined, userId)
        const { project_id, user_id } = parse(promotion, req.body)
        const member = { projectId: project_id, memberId: user_id }
        await lockMember(trx, member, userId)
        await requireMatch(req, () => findMember(trx, project_id, user_id))
        await promoteMember(trx, member)
        return tagged(written(await findMember(trx, project_id, user_id)))
      })
      sendJson(res, 200, found)
    })
    .all(methodNotAllowed('POST'))

  return router
}

const parseMember = ({ project, user }: { project: string; user: string }) => ({
  projectId: parseId(project, 'Project'),
  memberId: parseId(user, 'User'),
})

const timeAllocation = z.number('A valid number is required.')
const position = integer(-(2 ** 31))

const memberFields = z.object({
  is_leader: z.boolean(),
  role: z.enum([
    'supervising',
    'research',
    'technical',
    'externalcol',
    'externalpeer',
    'academicsuper',
    'student',
    'consulted',
    'group',
  ]),
  time_allocation: timeAllocation,
  position,
  short_code: text(500),
  comments: text(),
})

const memberPatch = ignoringNulls(memberFields.partial())

const newMember = memberFields
  .extend({
    project: reference,
    user: reference,
    is_leader: memberFields.shape.is_leader.default(false),
    time_allocation: timeAllocation.nullable().default(0),
    position: position.nullable().default(100),
    short_code: memberFields.shape.short_code.nullable().default(null),
    comments: memberFields.shape.comments.nullable().default(null),
  })
  .transform(({ project, user, ...columns }) => ({
    ...columns,
    project_id: project,
    user_id: user,
  }))

/** The part of a body on which the permission to add a member depends. */
const ofProject = z.object({ project: reference })

const promotion = z.object({ project_id: reference, user_id: reference })

const LEADERS = 'leaders of the project and superusers'

const addsMember = operation({
  event: 'rights_change',
  summary: 'Add a member to a project',
  who: LEADERS,
  body: newMember,
  answers: { 201: tinyMember },
})

const showsMember = operation({
  summary: 'Get a member of a project',
  who: 'users',
  answers: { 200: tinyMember },
})

const changesMember = operation({
  event: 'rights_change',
  summary: 'Change a member of a project',
  who: LEADERS,
  body: memberPatch,
  answers: { 200: tinyMember },
})

const removesMember = operation({
  event: 'rights_change',
  summary: 'Remove a member from a project',
  who: LEADERS,
  answers: { 204: null },
})

const promotesMember = operation({
  event: 'rights_change',
  summary: 'Make a member the only leader of a project',
  who: LEADERS,
  body: promotion,
  isConditional: true,
  answers: { 200: tinyMember },
})
