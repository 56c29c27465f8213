import { Router } from 'express'
import { z } from 'zod'
import { findMember } from '../../db/queries/member.ts'
import { findProject } from '../../db/queries/project.ts'
import { deleteMember, lockMember, updateMember } from '../../db/writes/member.ts'
import { lockProject, updateProject } from '../../db/writes/project.ts'
import { transact } from '../../db/writes/transact.ts'
import { PublicError } from '../../shared/errors.ts'
import { userProjects } from '../../shared/resources/index.ts'
import type { AppDeps } from '../deps.ts'
import { sendJson, sendNoContent, sendPrivate } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { parse, parseId } from '../parse.ts'
import { date, ignoringNulls, integer, reference, text } from './field.ts'
import { written } from './written.ts'

/** A user's own projects, and what leaders change on theirs. */
export function projectRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  const { db, reader } = deps

  router
    .route('/projects/mine')
    .get(async (req, res) => {
      const answer = await deps.readAs(req, (user_id) =>
        reader.read(userProjects, { user_id }, 'mine'),
      )
      deps.sendAnswer(req, res, answer, 'user')
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/projects/:id')
    .put(async (req, res) => {
      const id = parseId(req.params.id, 'Project')
      const { userId } = await deps.requireUser(req)
      const project = await transact(db, async (trx) => {
        await lockProject(trx, id, userId)
        await updateProject(trx, id, parse(projectPatch, req.body))
        return written(await findProject(trx, id))
      })
      sendJson(res, 200, project)
    })
    .all(methodNotAllowed('PUT'))

  router
    .route('/projects/project_members/:project/:user')
    .get(async (req, res) => {
      const { projectId, memberId } = parseMember(req.params)
      await deps.requireUser(req)
      const member = await reader.query((trx) => findMember(trx, projectId, memberId))
      if (member === null) {
        const detail = `Member not found for project ${projectId} and user ${memberId}`
        throw new PublicError('not_found', detail)
      }
      sendPrivate(res, member)
    })
    .put(async (req, res) => {
      const member = parseMember(req.params)
      const { userId } = await deps.requireUser(req)
      const found = await transact(db, async (trx) => {
        await lockMember(trx, member, userId)
        await updateMember(trx, member, parse(memberPatch, req.body))
        return written(await findMember(trx, member.projectId, member.memberId))
      })
      sendJson(res, 200, found)
    })
    .delete(async (req, res) => {
      const member = parseMember(req.params)
      const { userId } = await deps.requireUser(req)
      await transact(db, async (trx) => {
        await lockMember(trx, member, userId)
        await deleteMember(trx, member)
      })
      sendNoContent(res)
    })
    .all(methodNotAllowed('GET', 'PUT', 'DELETE'))

  return router
}

const parseMember = ({ project, user }: { project: string; user: string }) => ({
  projectId: parseId(project, 'Project'),
  memberId: parseId(user, 'User'),
})

const projectPatch = ignoringNulls(
  z
    .object({
      kind: z.enum(['science', 'student', 'external', 'core_function']),
      status: z.enum([
        'new',
        'pending',
        'active',
        'updating',
        'closure_requested',
        'closing',
        'final_update',
        'completed',
        'terminated',
        'suspended',
      ]),
      year: integer(0),
      number: integer(0),
      title: text(500).min(1),
      description: text(),
      tagline: text(500),
      keywords: text(500),
      start_date: date,
      end_date: date,
      business_area: reference,
      deletion_requested: z.boolean(),
      hidden_from_staff_profiles: z.array(integer(0)),
    })
    .partial()
    .transform(({ business_area, ...columns }) => ({
      ...columns,
      business_area_id: business_area,
    })),
)

const memberPatch = ignoringNulls(
  z
    .object({
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
      time_allocation: z.number('A valid number is required.'),
      position: integer(-(2 ** 31)),
      short_code: text(500),
      comments: text(),
    })
    .partial(),
)
