import { z } from 'zod'
import { id } from './values.ts'

/** Organisational units of a user, after a change. */
export const membership = z.strictObject({
  role: z.string().nullable(),
  business_area: id.nullable(),
  affiliation: id.nullable(),
  branch: id.nullable(),
})
