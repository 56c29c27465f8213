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
import { lockNamedProject } from '../../db/writes/project.ts'
import * as shapes from '../../shared/shapes/project-part.ts'
import { create, type Endpoint, get, idOf, item, ruleById, user } from '../endpoints/index.ts'
import { areaIds, integer, reference, text } from './field.ts'
import { LEADERS, leaderOfNamedProject } from './rules.ts'

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

const AREAS: Part<'projects_projectarea'> = {
  table: 'projects_projectarea',
  path: 'project_areas',
  entity: 'Project area',
  shape: shapes.projectAreas,
  fields: z
    .object({
      // Null for no areas.
      areas: areaIds(integer(1))
        .nullable()
        .transform((ids) => ids ?? []),
    })
    .partial(),
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

/** The fields of the details of a student project. */
export const studentFields = z.object({
  level: z
    .enum(['pd', 'phd', 'msc', 'honours', 'fourth_year', 'third_year', 'undergrad'])
    .nullable(),
  organisation: text().nullable(),
})

const STUDENT: Part<'projects_studentprojectdetails'> = {
  table: 'projects_studentprojectdetails',
  path: 'student_project_details',
  entity: 'Student project detail',
  shape: shapes.studentDetails,
  fields: studentFields.partial(),
}

/** The fields of the details of an external project. */
export const externalFields = z.object({
  collaboration_with: text(1500).nullable(),
  budget: text(1000).nullable(),
  description: text(10_000).nullable(),
  aims: text(5000).nullable(),
})

const EXTERNAL: Part<'projects_externalprojectdetails'> = {
  table: 'projects_externalprojectdetails',
  path: 'external_project_details',
  entity: 'External project detail',
  shape: shapes.externalDetails,
  fields: externalFields.partial(),
}

const ofProject = z.object({ project: reference })

function endpointsOf<T extends PartTable>({ table, path, entity, fields, shape }: Part<T>) {
  const name = entity.toLowerCase()
  return [
    get(`/projects/${path}`, {
      summary: `List the ${name}s of all projects`,
      access: user,
      answers: { 200: z.array(shape) },
      cost: 'export',
      read: (trx) => findParts(trx, table),
    }),
    create(`/projects/${path}`, {
      summary: `Add one ${name}`,
      access: leaderOfNamedProject,
      body: z.intersection(ofProject, fields),
      answers: { 201: shape },
      async lock(trx, _, { body }) {
        await keepNamedUsers(trx, body)
        await lockNamedProject(trx, body.project)
      },
      insert: (trx, _, { body }) => insertPart(trx, table, body.project, body),
      location: (id) => `/projects/${path}/${id}`,
      shown: (trx, id) => findPart(trx, table, id),
    }),
    ...item(`/projects/${path}/:id`, {
      entity,
      summaries: {
        get: `Get one ${name}`,
        put: `Change one ${name}`,
        delete: `Delete one ${name}`,
      },
      access: ruleById(LEADERS, (trx, id, userId) =>
        requirePart(trx, { table, id, entity }, userId),
      ),
      shape,
      find: (trx, id) => findPart(trx, table, id),
      body: fields,
      async lock(trx, id, { body, granted: projectId }) {
        if (body !== undefined) await keepNamedUsers(trx, body)
        await lockPart(trx, { table, id, entity }, projectId)
      },
      update: (trx, id, patch) => updatePart(trx, table, id, patch),
      remove: (trx, id) => deletePart(trx, table, id),
    }),
  ]
}

/**
 * Parts of projects that have their own tables. All users read them, leaders of a project change
 * them.
 */
export const projectPartEndpoints: readonly Endpoint[] = [
  ...endpointsOf(AREAS),
  ...endpointsOf(DETAILS),
  ...endpointsOf(STUDENT),
  ...endpointsOf(EXTERNAL),
  ...(
    [
      ['areas', AREAS],
      ['details', DETAILS],
    ] as const
  ).map(([path, { table, entity, shape }]) =>
    get(`/projects/:id/${path}`, {
      summary: `Get the ${entity.toLowerCase()} of a project`,
      access: user,
      params: { id: idOf('Project') },
      answers: { 200: shape },
      etag: true,
      absent: ({ id }) => `${entity} not found for project ${id}`,
      read: (trx, { id }) => findPartOfProject(trx, table, id),
    }),
  ),
]
