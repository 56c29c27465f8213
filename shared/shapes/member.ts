import { z } from 'zod'
import { tinyProject } from './tiny-project.ts'
import { tinyUser } from './tiny-user.ts'
import { id } from './values.ts'

/** A user's membership in a project. */
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
