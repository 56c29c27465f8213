import { z } from 'zod'
import { area } from './area.ts'
import { id, perthTime } from './values.ts'

const titled = z.strictObject({ id, title: z.string() })
const named = z.strictObject({ id, username: z.string() })

/** People responsible for a project. */
export const projectDetailRow = z.strictObject({
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

/** Description of a project with other organisations. */
export const externalDetails = z.strictObject({
  id,
  project: titled,
  collaboration_with: z.string().nullable(),
  budget: z.string().nullable(),
  description: z.string().nullable(),
  aims: z.string().nullable(),
})

/** Description of a student's project. */
export const studentDetails = z.strictObject({
  id,
  project: titled,
  level: z.string().nullable(),
  organisation: z.string().nullable(),
})

/** Areas of a project. */
export const projectAreas = z.strictObject({
  id,
  created_at: perthTime,
  updated_at: perthTime,
  project: id,
  areas: z.array(area),
})
