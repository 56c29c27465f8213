import { type Expression, expressionBuilder, sql } from 'kysely'
import { jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../../schema.ts'
import { jsonObject } from './json-object.ts'
import { perthTime } from './perth-time.ts'
import type { TitledProject } from './project-photo.ts'
import { username } from './username.ts'

const eb = expressionBuilder<Database>()

/** Returns the details of a project: those for all projects, and those for its kind. */
export const projectDetails = (project: TitledProject) =>
  jsonObject({ base: base(project), external: external(project), student: student(project) })

// There may be several rows; the newest counts.
const base = (project: TitledProject) =>
  jsonObjectFrom(
    eb
      .selectFrom('projects_projectdetail as detail')
      .select((row) => [
        'detail.id',
        titled(project).as('project'),
        service(row.ref('detail.service_id')).as('service'),
        username(row.ref('detail.creator_id')).as('creator'),
        username(row.ref('detail.modifier_id')).as('modifier'),
        username(row.ref('detail.owner_id')).as('owner'),
        username(row.ref('detail.data_custodian_id')).as('data_custodian'),
        username(row.ref('detail.site_custodian_id')).as('site_custodian'),
        perthTime(row.ref('detail.created_at')).as('created_at'),
        perthTime(row.ref('detail.updated_at')).as('updated_at'),
        'detail.old_output_program_id',
      ])
      .where('detail.project_id', '=', project.id)
      .orderBy('detail.id', 'desc')
      .limit(1),
  )

const service = (id: Expression<string | null>) =>
  jsonObjectFrom(
    eb
      .selectFrom('agencies_departmentalservice as service')
      .select(['service.id', 'service.name'])
      .where('service.id', '=', id),
  )

const external = (project: TitledProject) =>
  orEmptyList(
    jsonObjectFrom(
      eb
        .selectFrom('projects_externalprojectdetails as external')
        .select([
          'external.id',
          titled(project).as('project'),
          'external.collaboration_with',
          'external.budget',
          'external.description',
          'external.aims',
        ])
        .where('external.project_id', '=', project.id),
    ),
  )

const student = (project: TitledProject) =>
  orEmptyList(
    jsonObjectFrom(
      eb
        .selectFrom('projects_studentprojectdetails as student')
        .select([
          'student.id',
          titled(project).as('project'),
          'student.level',
          'student.organisation',
        ])
        .where('student.project_id', '=', project.id),
    ),
  )

const titled = ({ id, title }: TitledProject) => jsonObject({ id, title })

// Clients expect an empty list instead of a missing object.
const orEmptyList = (object: Expression<unknown>) => sql`coalesce(${object}, '[]')`
