import { Router } from 'express'
import { z } from 'zod'
import { findPart, findPartOfProject, findParts } from '../../db/queries/project-part.ts'
import {
  deletePart,
  insertPart,
  keepNamedUsers,
  lockPart,
  type PartPatch,
  type PartTable,
  requirePart,
  updatePart,
} from '../../db/writes/project-part.ts'
import { lockNamedProject, requireNamedLeader } from '../../db/writes/project.ts'
import { transact } from '../../db/writes/transact.ts'
import { notFound, PublicError } from '../../shared/errors.ts'
import * as shapes from '../../shared/shapes/project-part.ts'
import type { AppDeps } from '../deps.ts'
import { sendCreated, sendJson, sendNoContent, sendPrivate, sendResource } from '../http/json.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { requireMatch, tagged } from '../http/tagged.ts'
import { operation } from '../openapi/operation.ts'
import { parse, parseId } from '../parse.ts'
import { integer, listOf, reference, text } from './field.ts'
import { peek } from './peek.ts'
import { queryAs } from './query-as.ts'
import { written } from './written.ts'

/**
 * Parts of projects that have their own tables. All users read them, leaders of a project change
 * them.
 */
export function projectPartRoutes(deps: AppDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  addPart(router, deps, AREAS)
  addPart(router, deps, DETAILS)
  addPart(router, deps, STUDENT)
  addPart(router, deps, EXTERNAL)

  for (const [path, { table, entity, shape }] of [
    ['areas', AREAS],
    ['details', DETAILS],
  ] as const) {
    const ofProjectOnly = operation({
      summary: `Get the ${entity.toLowerCase()} of a project`,
      who: 'users',
      answers: { 200: shape },
    })
    router
      .route(`/projects/:id/${path}`)
      .get(ofProjectOnly, async (req, res) => {
        const id = parseId(req.params.id, 'Project')
        await deps.requireUser(req)
        const found = await deps.reader.query((trx) => findPartOfProject(trx, table, id))
        if (found === null) {
          throw new PublicError('not_found', `${entity} not found for project ${id}`)
        }
        sendResource(req, res, found)
      })
      .all(methodNotAllowed('GET'))
  }
  return router
}

interface Part<T extends PartTable> {
  readonly table: T
  readonly path: string
  /** Name of a row in messages. */
  readonly entity: string
  /** Schema of the body. A missing field keeps its value, or gets its default in a new row. */
  readonly fields: z.ZodType<PartPatch<T>>
  /** Schema of a row in responses. */
  readonly shape: z.ZodType
}

function addPart<T extends PartTable>(router: Router, deps: AppDeps, part: Part<T>): void {
  const { db, reader } = deps
  const { table, path, entity } = part
  const operations = describe(part)

  router
    .route(`/projects/${path}`)
    .get(operations.lists, async (req, res) => {
      sendPrivate(res, await queryAs(deps, req, (trx) => findParts(trx, table), 'export'))
    })
    .post(operations.adds, async (req, res) => {
      const { userId } = await deps.requireUser(req)
      const row = await transact(db, async (trx) => {
        await requireNamedLeader(trx, peek(ofProject, req.body)?.project, userId)
        const { project } = parse(ofProject, req.body)
        const columns = parse(part.fields, req.body)
        await keepNamedUsers(trx, columns)
        await lockNamedProject(trx, project, userId)
        const id = await insertPart(trx, table, project, columns)
        return tagged(written(await findPart(trx, table, id)))
      })
      sendCreated(req, res, `/projects/${path}/:id`, row)
    })
    .all(methodNotAllowed('GET', 'POST'))

  router
    .route(`/projects/${path}/:id`)
    .get(operations.shows, async (req, res) => {
      const id = parseId(req.params.id, entity)
      await deps.requireUser(req)
      const found = await reader.query((trx) => findPart(trx, table, id))
      if (found === null) throw notFound(entity, id)
      sendResource(req, res, found)
    })
    .put(operations.changes, async (req, res) => {
      const id = parseId(req.params.id, entity)
      const { userId } = await deps.requireUser(req)
      const row = await transact(db, async (trx) => {
        await requirePart(trx, { table, id, entity }, userId)
        const patch = parse(part.fields, req.body)
        await keepNamedUsers(trx, patch)
        await lockPart(trx, { table, id, entity }, userId)
        await requireMatch(req, () => findPart(trx, table, id))
        await updatePart(trx, table, id, patch)
        return tagged(written(await findPart(trx, table, id)))
      })
      sendJson(res, 200, row)
    })
    .delete(operations.removes, async (req, res) => {
      const id = parseId(req.params.id, entity)
      const { userId } = await deps.requireUser(req)
      await transact(db, async (trx) => {
        await lockPart(trx, { table, id, entity }, userId)
        await requireMatch(req, () => findPart(trx, table, id))
        await deletePart(trx, table, id)
      })
      sendNoContent(res)
    })
    .all(methodNotAllowed('GET', 'PUT', 'DELETE'))
}

const ofProject = z.object({ project: reference })

/** Distinct ids of areas on the map; null for none. */
const MAX_AREAS = 1_000
const areaIds = listOf(integer(1), MAX_AREAS)
  .refine((ids) => new Set(ids).size === ids.length, 'Duplicate areas are not allowed.')
  .nullable()
  .transform((ids) => ids ?? [])

const AREAS: Part<'projects_projectarea'> = {
  table: 'projects_projectarea',
  path: 'project_areas',
  entity: 'Project area',
  shape: shapes.projectAreas,
  fields: z.object({ areas: areaIds }).partial(),
}

const id = reference.nullable()

const DETAILS: Part<'projects_projectdetail'> = {
  table: 'projects_projectdetail',
  path: 'project_details',
  entity: 'Project detail',
  shape: shapes.projectDetailRow,
  fields: z
    .object({
      creator: id,
      modifier: id,
      owner: id,
      data_custodian: id,
      site_custodian: id,
      service: id,
      old_output_program_id: id,
    })
    .partial()
    .transform((sent) => ({
      creator_id: sent.creator,
      modifier_id: sent.modifier,
      owner_id: sent.owner,
      data_custodian_id: sent.data_custodian,
      site_custodian_id: sent.site_custodian,
      service_id: sent.service,
      old_output_program_id: sent.old_output_program_id,
    })),
}

const STUDENT: Part<'projects_studentprojectdetails'> = {
  table: 'projects_studentprojectdetails',
  path: 'student_project_details',
  entity: 'Student project detail',
  shape: shapes.studentDetails,
  fields: z
    .object({
      level: z
        .enum(['pd', 'phd', 'msc', 'honours', 'fourth_year', 'third_year', 'undergrad'])
        .nullable(),
      organisation: text().nullable(),
    })
    .partial(),
}

const EXTERNAL: Part<'projects_externalprojectdetails'> = {
  table: 'projects_externalprojectdetails',
  path: 'external_project_details',
  entity: 'External project detail',
  shape: shapes.externalDetails,
  fields: z
    .object({
      collaboration_with: text(1500).nullable(),
      budget: text(1000).nullable(),
      description: text(10_000).nullable(),
      aims: text(5000).nullable(),
    })
    .partial(),
}

const LEADERS = 'leaders of the project and superusers'

function describe<T extends PartTable>({ entity, fields, shape }: Part<T>) {
  const name = entity.toLowerCase()
  return {
    lists: operation({
      summary: `List the ${name}s of all projects`,
      who: 'users',
      answers: { 200: z.array(shape) },
    }),
    adds: operation({
      summary: `Add one ${name}`,
      who: LEADERS,
      body: z.intersection(ofProject, fields),
      answers: { 201: shape },
    }),
    shows: operation({ summary: `Get one ${name}`, who: 'users', answers: { 200: shape } }),
    changes: operation({
      summary: `Change one ${name}`,
      who: LEADERS,
      body: fields,
      answers: { 200: shape },
    }),
    removes: operation({ summary: `Delete one ${name}`, who: LEADERS, answers: { 204: null } }),
  }
}
