import { z } from 'zod'
import { id } from './values.ts'

/** Where a user belongs, after it was changed. */
export const membership = z.strictObject({
  role: z.string().nullable(),
  business_area: id.nullable(),
  affiliation: id.nullable(),
  branch: id.nullable(),
})
