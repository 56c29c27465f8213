import { type Transaction, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { findActor } from './actor.ts'
import type { Picture } from './avatar.ts'
import { insertRow } from './insert-row.ts'
import { insertMember } from './member.ts'
import { insertPart, type PartPatch, requireAreas } from './project-part.ts'
import { requireAll, requireReference } from './reference.ts'
import { keepUsers } from './user-locks.ts'
import { WriteError } from './write-error.ts'

/** A project to be created. */
export interface NewProject {
  readonly kind: 'science' | 'student' | 'external' | 'core_function'
  readonly title: string
  readonly description: string
  readonly keywords: string
  readonly year: number
  readonly startDate: string | null
  readonly endDate: string | null
  readonly businessAreaId: string | null
  readonly leaderId: string
  readonly dataCustodianId: string | null
  readonly serviceId: string | null
  readonly areas: readonly number[]
  readonly student: PartPatch<'projects_studentprojectdetails'>
  readonly external: PartPatch<'projects_externalprojectdetails'>
}

/** The names of references in the API. */
const FIELDS = {
  leaderId: 'projectLead',
  dataCustodianId: 'dataCustodian',
  businessAreaId: 'businessArea',
  serviceId: 'departmentalService',
  areas: 'locations',
} as const

/** Kinds whose projects begin with a concept plan. */
const PLANNED: ReadonlySet<NewProject['kind']> = new Set(['science', 'core_function'])

/**
 * Creates a project with all rows that belong to it, and returns its id. The user becomes its creator and
 * owner, the leader its only member.
 * @throws WriteError `unauthenticated`; `invalid` with every field that refers to a missing row; `conflict`
 * if the year has no number left.
 */
export async function insertProject(
  trx: Transaction<Database>,
  userId: string,
  project: NewProject,
  photo: Picture | null,
): Promise<string> {
  const { kind, leaderId, dataCustodianId, serviceId, businessAreaId } = project
  await keepUsers(trx, [userId, leaderId, dataCustodianId])
  const { id: actorId } = await findActor(trx, userId)
  await requireAll([
    () => requireReference(trx, 'users_user', FIELDS.leaderId, leaderId),
    () => requireReference(trx, 'users_user', FIELDS.dataCustodianId, dataCustodianId),
    () => requireReference(trx, 'agencies_businessarea', FIELDS.businessAreaId, businessAreaId),
    () => requireReference(trx, 'agencies_departmentalservice', FIELDS.serviceId, serviceId),
    () => requireAreas(trx, project.areas, FIELDS.areas),
  ])

  const projectId = await insertRow(trx, 'projects_project', {
    kind,
    status: 'new',
    year: project.year,
    number: await takeNumber(trx, project.year),
    title: project.title,
    description: project.description,
    tagline: '',
    keywords: project.keywords,
    start_date: project.startDate,
    end_date: project.endDate,
    business_area_id: businessAreaId,
    deletion_requested: false,
    hidden_from_staff_profiles: [],
  })
  await insertPart(trx, 'projects_projectarea', projectId, { areas: [...project.areas] })
  await insertMember(trx, {
    project_id: projectId,
    user_id: leaderId,
    is_leader: true,
    role: 'supervising',
    time_allocation: 0,
    position: 100,
    short_code: null,
    comments: null,
  })
  await insertPart(trx, 'projects_projectdetail', projectId, {
    creator_id: actorId,
    modifier_id: actorId,
    owner_id: actorId,
    data_custodian_id: dataCustodianId,
    service_id: serviceId,
  })
  if (kind === 'student') {
    await insertPart(trx, 'projects_studentprojectdetails', projectId, project.student)
  }
  if (kind === 'external') {
    await insertPart(trx, 'projects_externalprojectdetails', projectId, project.external)
  }
  if (PLANNED.has(kind)) await insertConceptPlan(trx, projectId, actorId)
  if (photo) {
    const { file, size } = photo
    const uploaded = { file, size, project_id: projectId, uploader_id: actorId }
    await insertRow(trx, 'medias_projectphoto', uploaded)
  }
  return projectId
}

const MAX_NUMBER = 2 ** 31 - 1

/**
 * Returns the number after the highest one of a year. No unique index covers numbers, so a lock on the
 * year serializes creations. It is taken after all other locks, so its owner does not wait.
 */
async function takeNumber(trx: Transaction<Database>, year: number): Promise<number> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`spms project number ${year}`}, 0))`.execute(
    trx,
  )
  const { last } = await trx
    .selectFrom('projects_project')
    .select(({ fn }) => fn.max('number').as('last'))
    .where('year', '=', year)
    .executeTakeFirstOrThrow()
  if (last !== MAX_NUMBER) return (last ?? 0) + 1
  const message = `No project number is left in ${year}.`
  throw new WriteError('conflict', message, { fields: { year: [message] } })
}

async function insertConceptPlan(
  trx: Transaction<Database>,
  projectId: string,
  actorId: string,
): Promise<void> {
  const documentId = await insertRow(trx, 'documents_projectdocument', {
    project_id: projectId,
    creator_id: actorId,
    modifier_id: actorId,
    kind: 'concept',
    status: 'new',
    project_lead_approval_granted: false,
    business_area_lead_approval_granted: false,
    directorate_approval_granted: false,
    pdf_generation_in_progress: false,
  })
  await trx
    .insertInto('documents_conceptplan')
    .values({
      document_id: documentId,
      project_id: projectId,
      background: null,
      aims: null,
      outcome: null,
      collaborations: null,
      strategic_context: null,
      staff_time_allocation: null,
      budget: null,
    })
    .execute()
}
