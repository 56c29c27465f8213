import type { Request } from 'express'
import { z } from 'zod'
import { findProjectDetail } from '../../db/queries/project-detail.ts'
import { findProject } from '../../db/queries/project.ts'
import { insertProject, type NewProject } from '../../db/writes/new-project.ts'
import { PublicError } from '../../shared/errors.ts'
import { project } from '../../shared/shapes/project.ts'
import type { FileChanges, NewFile } from '../files/file-changes.ts'
import { create, type Endpoint, user } from '../endpoints/index.ts'
import { UploadedFile } from '../http/form.ts'
import { parse } from '../parse.ts'
import {
  alsoNamed,
  areaIds,
  file,
  ignoringBlanks,
  integerOrText,
  listOf,
  reference,
  text,
} from './field.ts'
import { externalFields, studentFields } from './project-parts.ts'
import type { TimeFields } from './time-field.ts'

const PHOTOS = 'projects'
const MAX_KEYWORDS = 500
/** Length of a title, and of all keywords. */
const MAX_LENGTH = 500

/** Keywords as a list, as text with commas, or as JSON text of a list. */
const keywords = z
  .preprocess(
    (sent) => (typeof sent === 'string' ? sent.replaceAll(/["[\]]/g, '').split(',') : sent),
    listOf(text(MAX_LENGTH), MAX_KEYWORDS),
  )
  .transform((words) => words.filter((word) => word !== '').join(', '))
  .pipe(text(MAX_LENGTH))

/** Areas on the map. A form has a field for each. */
const locations = z.preprocess(
  (sent) => (sent === undefined || Array.isArray(sent) ? sent : [sent]),
  areaIds(integerOrText(1)),
)

const { level, organisation } = studentFields.shape
const { collaboration_with, budget, description, aims } = externalFields.shape

const student = ignoringBlanks(z.object({ level, organisation }).partial())

const external = alsoNamed(
  { external_description: 'description' },
  ignoringBlanks(z.object({ collaboration_with, budget, description, aims }).partial()),
)

/** The names of a form, and other names that clients send as JSON. */
const createNewProject = ({ date, today }: TimeFields) =>
  alsoNamed(
    {
      areas: 'locations',
      business_area: 'businessArea',
      data_custodian: 'dataCustodian',
      departmental_service: 'departmentalService',
      end_date: 'endDate',
      image: 'imageData',
      project_leader: 'projectLead',
      start_date: 'startDate',
    },
    ignoringBlanks(
      z
        .object({
          kind: z.enum(['science', 'student', 'external', 'core_function']),
          title: text(MAX_LENGTH).min(1),
          projectLead: reference,
          year: integerOrText(0).optional().meta({ description: 'By default the present year.' }),
          description: text().default(''),
          keywords: keywords.default(''),
          businessArea: reference.nullable().default(null),
          departmentalService: reference.nullable().default(null),
          dataCustodian: reference.nullable().default(null),
          startDate: date.nullable().default(null),
          endDate: date.nullable().default(null),
          locations: locations.default([]),
          imageData: file.optional(),
          level: level.optional(),
          organisation: organisation.optional(),
          externalDescription: description.optional(),
          aims: aims.optional(),
          budget: budget.optional(),
          collaborationWith: collaboration_with.optional(),
          student: student.optional(),
          external: external.optional(),
        })
        .transform((sent): NewProject => ({
          kind: sent.kind,
          title: sent.title,
          description: sent.description,
          keywords: sent.keywords,
          year: sent.year ?? Number(today().slice(0, 4)),
          startDate: sent.startDate,
          endDate: sent.endDate,
          businessAreaId: sent.businessArea,
          leaderId: sent.projectLead,
          dataCustodianId: sent.dataCustodian,
          serviceId: sent.departmentalService,
          areas: sent.locations,
          student: { level: sent.level, organisation: sent.organisation, ...sent.student },
          external: {
            description: sent.externalDescription,
            aims: sent.aims,
            budget: sent.budget,
            collaboration_with: sent.collaborationWith,
            ...sent.external,
          },
        })),
    ),
  )

/** Creation of projects. */
export function projectCreationEndpoints(times: TimeFields): readonly Endpoint[] {
  const newProject = createNewProject(times)
  return [
    create('/projects/list', {
      summary: 'Create a project with its leader, details, area, concept plan and photo',
      access: user,
      // Clients also send `creator`, which is ignored: it is the user who sends the request.
      body: newProject,
      acceptsForm: true,
      answers: { 201: project },
      prepare: (req, _, __, files) => preparePhoto(newProject, req, files),
      insert: (trx, _, { userId, body, prepared }) => insertProject(trx, userId, body, prepared),
      location: (id) => `/projects/${id}`,
      shown: async (trx, id) => (await findProjectDetail(trx, id))?.body ?? null,
      answer: (trx, id) => findProject(trx, id),
    }),
  ]
}

/**
 * Stores the photo of a new project, if there is one.
 * @throws PublicError `invalid` with all invalid fields, also those besides the photo.
 */
async function preparePhoto(
  schema: z.ZodType,
  { body }: Request,
  files: FileChanges,
): Promise<NewFile | null> {
  const { imageData, image } = (body ?? {}) as Readonly<Record<string, unknown>>
  const photo = imageData ?? image
  if (!(photo instanceof UploadedFile)) return null
  const stored = await files.addImage(PHOTOS, photo.bytes).catch((error: unknown) => {
    if (error instanceof PublicError && error.code === 'invalid') return error
    throw error
  })
  if (!(stored instanceof PublicError)) return stored
  throw new PublicError('invalid', stored.message, {
    fields: { ...invalidFieldsOf(schema, body), imageData: [stored.message] },
    cause: stored,
  })
}

function invalidFieldsOf(schema: z.ZodType, body: unknown): PublicError['fields'] {
  try {
    parse(schema, body)
    return {}
  } catch (error) {
    if (error instanceof PublicError) return error.fields
    throw error
  }
}
