import { z } from 'zod'
import { businessArea } from './business-area.ts'
import { tinyProject } from './tiny-project.ts'
import { fileUrl, id, perthTime } from './values.ts'

const affiliation = z.strictObject({
  id,
  created_at: perthTime,
  updated_at: perthTime,
  name: z.string(),
})

const tinyUser = z.strictObject({
  id,
  first_name: z.string().nullable(),
  last_name: z.string().nullable(),
  display_first_name: z.string().nullable(),
  display_last_name: z.string().nullable(),
  name: z.string(),
  username: z.string(),
  email: z.string().nullable(),
  is_active: z.boolean(),
  is_staff: z.boolean(),
  is_superuser: z.boolean(),
  image: fileUrl.nullable(),
  affiliation: affiliation.nullable(),
  business_area: businessArea.nullable(),
})

/** A user's part in a project. */
export const tinyMember = z.strictObject({
  id,
  user: tinyUser,
  project: tinyProject,
  is_leader: z.boolean(),
  role: z.string(),
  time_allocation: z.number().nullable(),
  position: z.int().nullable(),
  comments: z.string().nullable(),
  short_code: z.string().nullable(),
})
