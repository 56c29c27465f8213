import { Router } from 'express'
import type { Transaction } from 'kysely'
import { z } from 'zod'
import { PROJECT_STATUSES } from '../../db/queries/fragments/project-status.ts'
import { findProjectDetail } from '../../db/queries/project-detail.ts'
import { findProject } from '../../db/queries/project.ts'
import { findTinyProject } from '../../db/queries/tiny-projects.ts'
import type { Database } from '../../db/schema.ts'
import { deleteProject } from '../../db/writes/project-deletion.ts'
import {
  changeProject,
  lockOwnProject,
  lockProject,
  toggleProjectVisibility,
  updateProject,
} from '../../db/writes/project.ts'
import { transact } from '../../db/writes/transact.ts'
import { projectDetail, userProjects } from '../../shared/resources/index.ts'
import * as shapes from '../../shared/shapes/project-detail.ts'
import { tinyProject } from '../../shared/shapes/tiny-project.ts'
import { project } from '../../shared/shapes/project.ts'
import type { AppDeps } from '../deps.ts'
import { sendJson, sendNoContent } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { requireMatch, tagged } from '../http/tagged.ts'
import { operation } from '../openapi/operation.ts'
import { parse, parseId } from '../parse.ts'
import { date, ignoringNulls, integer, listOf, reference, text } from './field.ts'
import { written } from './written.ts'

/** Projects: the list of a user, details, and changes by leaders. */
export function projectRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  const { db, reader } = deps

  router
    .route('/projects/mine')
    .get(readMine, async (req, res) => {
      const answer = await deps.readAs(req, (user_id) =>
        reader.read(req, userProjects, { user_id }, 'mine'),
      )
      deps.sendAnswer(req, res, answer, 'user')
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/projects/:id')
    .get(readProject, async (req, res) => {
      const project_id = parseId(req.params.id, 'Project')
      const answer = await deps.readAs(req, () =>
        reader.read(req, projectDetail, { project_id }, 'full'),
      )
      deps.sendAnswer(req, res, answer, 'user', `Project ${project_id} not found`)
    })
    .put(changesProject, async (req, res) => {
      const id = parseId(req.params.id, 'Project')
      const { userId } = await deps.requireUser(req)
      const project = await transact(db, async (trx) => {
        const locked = await lockProject(trx, id, userId)
        await requireMatch(req, () => shown(trx, id))
        await changeProject(trx, locked, parse(projectPatch, req.body))
        return tagged(written(await findProject(trx, id)), await shown(trx, id))
      })
      sendJson(res, 200, project)
    })
    .delete(deletesProject, async (req, res) => {
      const id = parseId(req.params.id, 'Project')
      const { userId } = await deps.requireUser(req)
      await transact(db, async (trx) => {
        await lockProject(trx, id, userId)
        await requireMatch(req, () => shown(trx, id))
        await deleteProject(trx, id)
      })
      sendNoContent(res)
    })
    .all(methodNotAllowed('GET', 'PUT', 'DELETE'))

  router
    .route('/projects/:id/suspend')
    .post(suspendsProject, async (req, res) => {
      const id = parseId(req.params.id, 'Project')
      const { userId } = await deps.requireUser(req)
      const project = await transact(db, async (trx) => {
        await lockProject(trx, id, userId)
        await requireMatch(req, () => shown(trx, id))
        await updateProject(trx, id, { status: 'suspended' })
        return tagged(written(await findTinyProject(trx, id)), await shown(trx, id))
      })
      sendJson(res, 200, project)
    })
    .all(methodNotAllowed('POST'))

  router
    .route('/projects/:id/toggle_user_profile_visibility')
    .post(togglesVisibility, async (req, res) => {
      const id = parseId(req.params.id, 'Project')
      const { userId } = await deps.requireUser(req)
      const project = await transact(db, async (trx) => {
        await lockOwnProject(trx, id, userId)
        await requireMatch(req, () => shown(trx, id))
        await toggleProjectVisibility(trx, id, userId, parse(visibility, req.body).is_hidden)
        return tagged(written(await findTinyProject(trx, id)), await shown(trx, id))
      })
      sendJson(res, 200, project)
    })
    .all(methodNotAllowed('POST'))

  return router
}

/** Returns the body of a GET of a project. */
const shown = async (trx: Transaction<Database>, id: string) =>
  (await findProjectDetail(trx, id))?.body ?? null

/** Without a value the flag is toggled. */
const visibility = z.object({ is_hidden: z.boolean().optional() })

const readMine = operation({
  summary: 'List the projects of which the user is a member',
  who: 'users',
  answers: { 200: z.array(tinyProject) },
})

const readProject = operation({
  summary: 'Get a project with everything that its pages show',
  who: 'users',
  answers: { 200: shapes.projectDetail },
})

const MAX_HIDDEN_FROM = 500

const projectPatch = ignoringNulls(
  z
    .object({
      kind: z.enum(['science', 'student', 'external', 'core_function']),
      status: z.enum(PROJECT_STATUSES),
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
      hidden_from_staff_profiles: listOf(integer(0), MAX_HIDDEN_FROM),
    })
    .partial()
    .transform(({ business_area, ...columns }) => ({
      ...columns,
      business_area_id: business_area,
    })),
)

const LEADERS = 'leaders of the project and superusers'

const changesProject = operation({
  summary:
    'Change a project; fields with null keep their values. Only members can hide it on their own pages',
  who: LEADERS,
  body: projectPatch,
  answers: { 200: project },
})

const deletesProject = operation({
  summary: 'Delete a project',
  who: LEADERS,
  answers: { 204: null },
})

const suspendsProject = operation({
  summary: 'Suspend a project',
  who: LEADERS,
  isConditional: true,
  answers: { 200: tinyProject },
})

const togglesVisibility = operation({
  summary: 'Hide a project on the public page of the user, or show it again',
  who: 'members of the project',
  body: visibility,
  isBodyOptional: true,
  isConditional: true,
  answers: { 200: tinyProject },
})
