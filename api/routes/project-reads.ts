import { Router } from 'express'
import { findLeader, findTeam } from '../../db/queries/member.ts'
import { findProjectDocuments } from '../../db/queries/project-documents.ts'
import { findProjectYears } from '../../db/queries/project-years.ts'
import { PublicError } from '../../shared/errors.ts'
import type { AppDeps } from '../deps.ts'
import { sendPrivate } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { parseId } from '../parse.ts'
import { queryAs } from './query-as.ts'

/** What belongs to projects and is only read. Before `projectRoutes`, whose ids take any word. */
export function projectReadRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })

  router
    .route('/projects/listofyears')
    .get(async (req, res) => sendPrivate(res, await queryAs(deps, req, findProjectYears)))
    .all(methodNotAllowed('GET'))

  router
    .route('/projects/:id/project_docs')
    .get(async (req, res) => {
      const id = parseId(req.params.id, 'Project')
      sendPrivate(res, await queryAs(deps, req, (trx) => findProjectDocuments(trx, id)))
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/projects/:id/team')
    .get(async (req, res) => {
      const id = parseId(req.params.id, 'Project')
      sendPrivate(res, await queryAs(deps, req, (trx) => findTeam(trx, id)))
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/projects/project_members/:project/leader')
    .get(async (req, res) => {
      const id = parseId(req.params.project, 'Project')
      const leader = await queryAs(deps, req, (trx) => findLeader(trx, id))
      if (leader === null) throw new PublicError('not_found', `Leader not found for project ${id}`)
      sendPrivate(res, leader)
    })
    .all(methodNotAllowed('GET'))

  return router
}
