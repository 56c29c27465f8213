import { z } from 'zod'
import { affiliation } from './affiliation.ts'
import { project } from './project.ts'
import { id, perthTime } from './values.ts'

const titled = z.strictObject({ id, title: z.string() })
const named = z.strictObject({ id, username: z.string() })

const base = z.strictObject({
  id,
  project: titled,
  service: z.strictObject({ id, name: z.string() }).nullable(),
  creator: named.nullable(),
  modifier: named.nullable(),
  owner: named.nullable(),
  data_custodian: named.nullable(),
  site_custodian: named.nullable(),
  created_at: perthTime,
  updated_at: perthTime,
  old_output_program_id: z.int().nullable(),
})

const external = z.strictObject({
  id,
  project: titled,
  collaboration_with: z.string().nullable(),
  budget: z.string().nullable(),
  description: z.string().nullable(),
  aims: z.string().nullable(),
})

const student = z.strictObject({
  id,
  project: titled,
  level: z.string().nullable(),
  organisation: z.string().nullable(),
})

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

/** A project with all that its pages show: what describes it, its documents and its members. */
export const projectDetail = z.strictObject({
  project,
  details: z.strictObject({
    base: base.nullable(),
    external: z.union([external, z.tuple([])]),
    student: z.union([student, z.tuple([])]),
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
