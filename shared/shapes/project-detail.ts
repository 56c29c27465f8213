import { z } from 'zod'
import { affiliation } from './affiliation.ts'
import { externalDetails, projectDetailRow, studentDetails } from './project-part.ts'
import { project } from './project.ts'
import { id, noItems } from './values.ts'

const documentState = z.strictObject({ id, status: z.string() })

const member = z.strictObject({
  user: z.strictObject({
    id,
    display_first_name: z.string().nullable(),
    display_last_name: z.string().nullable(),
    email: z.string().nullable(),
    is_active: z.boolean(),
    is_staff: z.boolean(),
    title: z.string().nullable(),
    affiliation: affiliation.nullable(),
    caretakers: z.array(
      z.strictObject({
        id,
        display_first_name: z.string().nullable(),
        display_last_name: z.string().nullable(),
        email: z.string().nullable(),
      }),
    ),
  }),
  project: z.strictObject({ id, kind: z.string().nullable() }),
  role: z.string(),
  is_leader: z.boolean(),
  position: z.int().nullable(),
})

/** A project as its pages show it: description, documents and members. */
export const projectDetail = z.strictObject({
  project,
  details: z.strictObject({
    base: projectDetailRow.nullable(),
    external: z.union([externalDetails, noItems]),
    student: z.union([studentDetails, noItems]),
  }),
  documents: z.strictObject({
    concept_plan: documentState.nullable(),
    project_plan: documentState.nullable(),
    progress_reports: z.array(documentState),
    student_reports: z.array(documentState),
    project_closure: documentState.nullable(),
  }),
  members: z.array(member).nullable(),
})
