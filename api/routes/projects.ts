import { z } from 'zod'
import { PROJECT_STATUSES } from '../../db/queries/fragments/project-status.ts'
import { findProjectDetail } from '../../db/queries/project-detail.ts'
import { findProject } from '../../db/queries/project.ts'
import { findTinyProject } from '../../db/queries/tiny-projects.ts'
import { findFilesOfProject } from '../../db/queries/owned-files.ts'
import { deleteProject } from '../../db/writes/project-deletion.ts'
import {
  changeProject,
  lockProjectAsMember,
  lockProject,
  setProjectVisibility,
  updateProject,
} from '../../db/writes/project.ts'
import { projectDetail, userProjects } from '../../shared/resources/index.ts'
import * as shapes from '../../shared/shapes/project-detail.ts'
import { ownProject } from '../../shared/shapes/project-row.ts'
import { tinyProject } from '../../shared/shapes/tiny-project.ts'
import { project } from '../../shared/shapes/project.ts'
import {
  del,
  type Endpoint,
  getCached,
  type Id,
  idOf,
  post,
  put,
  ruleById,
  type Trx,
  user,
} from '../endpoints/index.ts'
import { date, ignoringNulls, integer, listOf, reference, text } from './field.ts'
import { LEADERS } from './rules.ts'

const params = { id: idOf('Project') }

const leader = ruleById(LEADERS, lockProject)

const member = ruleById(
  { description: 'members of the project', roles: ['member'] },
  lockProjectAsMember,
)

const shown = async (trx: Trx, { id }: Id) => (await findProjectDetail(trx, id))?.body ?? null

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

/** Projects: the list of a user, details, and changes by leaders. */
export const projectEndpoints: readonly Endpoint[] = [
  getCached('/projects/mine', {
    summary: 'List the projects of which the user is a member, with the role of the user',
    access: user,
    answers: { 200: z.array(ownProject) },
    resource: userProjects,
    key: (_, userId) => ({ user_id: userId }),
    variant: 'mine',
  }),
  getCached('/projects/:id', {
    summary: 'Get a project with everything that its pages show',
    access: user,
    params,
    answers: { 200: shapes.projectDetail },
    resource: projectDetail,
    key: ({ id }) => ({ project_id: id }),
    variant: 'full',
  }),
  put('/projects/:id', {
    summary:
      'Change a project; fields with null keep their values. Only members can hide it on their own pages',
    access: leader,
    params,
    body: projectPatch,
    answers: { 200: project },
    shown,
    answer: (trx, { id }) => findProject(trx, id),
    write: (trx, _, { body, granted }) => changeProject(trx, granted, body),
  }),
  del('/projects/:id', {
    summary: 'Delete a project',
    access: leader,
    params,
    answers: { 204: null },
    shown,
    async write(trx, { id }, { files }) {
      files.discard(await findFilesOfProject(trx, id))
      await deleteProject(trx, id)
    },
  }),
  post('/projects/:id/suspend', {
    summary: 'Suspend a project',
    access: leader,
    params,
    answers: { 200: tinyProject },
    shown,
    answer: (trx, { id }) => findTinyProject(trx, id),
    write: (trx, { id }) => updateProject(trx, id, { status: 'suspended' }),
  }),
  post('/projects/:id/toggle_user_profile_visibility', {
    summary: 'Hide a project on the public page of the user, or show it again',
    access: member,
    params,
    // Without a value the flag is toggled.
    body: z.object({ is_hidden: z.boolean().optional() }),
    isBodyOptional: true,
    answers: { 200: tinyProject },
    shown,
    answer: (trx, { id }) => findTinyProject(trx, id),
    write: (trx, { id }, { body, userId }) => setProjectVisibility(trx, id, userId, body.is_hidden),
  }),
]
