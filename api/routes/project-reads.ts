import { Router } from 'express'
import { z } from 'zod'
import { findLeader, findTeam } from '../../db/queries/member.ts'
import { findProjectDocuments } from '../../db/queries/project-documents.ts'
import { findProjectYears } from '../../db/queries/project-years.ts'
import { PublicError } from '../../shared/errors.ts'
import { projectStatistics, userProjects } from '../../shared/resources/index.ts'
import { projectDocument } from '../../shared/shapes/document.ts'
import { tinyMember } from '../../shared/shapes/member.ts'
import { projectRow } from '../../shared/shapes/project-row.ts'
import * as shapes from '../../shared/shapes/project-statistics.ts'
import type { AppDeps } from '../deps.ts'
import { sendPrivate } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { operation } from '../openapi/operation.ts'
import { parseId } from '../parse.ts'
import { queryAs } from './query-as.ts'

/** Read-only data of projects. Mount it before `projectRoutes`, whose `:id` matches any word. */
export function projectReadRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  const { reader } = deps

  router
    .route('/users/:id/projects')
    .get(readUserProjects, async (req, res) => {
      const user_id = parseId(req.params.id, 'User')
      const answer = await deps.readAs(req, () =>
        reader.read(req, userProjects, { user_id }, 'rows'),
      )
      deps.sendAnswer(req, res, answer, 'user')
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/projects/statistics')
    .get(readStatistics, async (req, res) => {
      const answer = await deps.readAs(req, () => reader.read(req, projectStatistics, {}, 'all'))
      deps.sendAnswer(req, res, answer, 'user')
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/projects/listofyears')
    .get(readYears, async (req, res) =>
      sendPrivate(res, await queryAs(deps, req, findProjectYears)),
    )
    .all(methodNotAllowed('GET'))

  router
    .route('/projects/:id/project_docs')
    .get(readDocuments, async (req, res) => {
      const id = parseId(req.params.id, 'Project')
      sendPrivate(res, await queryAs(deps, req, (trx) => findProjectDocuments(trx, id)))
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/projects/:id/team')
    .get(readTeam, async (req, res) => {
      const id = parseId(req.params.id, 'Project')
      sendPrivate(res, await queryAs(deps, req, (trx) => findTeam(trx, id)))
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/projects/project_members/:project/leader')
    .get(readLeader, async (req, res) => {
      const id = parseId(req.params.project, 'Project')
      const leader = await queryAs(deps, req, (trx) => findLeader(trx, id))
      if (leader === null) throw new PublicError('not_found', `Leader not found for project ${id}`)
      sendPrivate(res, leader)
    })
    .all(methodNotAllowed('GET'))

  return router
}

const readUserProjects = operation({
  summary: 'List the projects of a user, each with the role of the user',
  who: 'users',
  answers: { 200: z.array(projectRow) },
})

const readStatistics = operation({
  summary: 'Get the numbers of projects and documents',
  who: 'users',
  answers: { 200: shapes.projectStatistics },
})

const readYears = operation({
  summary: 'List the years of projects, newest first',
  who: 'users',
  answers: { 200: z.array(z.int()) },
})

const readDocuments = operation({
  summary: 'List the documents of a project, newest first',
  who: 'users',
  answers: { 200: z.array(projectDocument) },
})

const readTeam = operation({
  summary: 'List the members of a project',
  who: 'users',
  answers: { 200: z.array(tinyMember) },
})

const readLeader = operation({
  summary: 'Get the leader of a project; if it has several, the one who joined first',
  who: 'users',
  answers: { 200: tinyMember },
})
