import { z } from 'zod'
import { id, perthTime } from './values.ts'

/** A service of the department in lists. */
export const departmentalService = z.strictObject({
  id,
  name: z.string(),
  director: id.nullable(),
})

/** A single service of the department. */
export const departmentalServiceDetail = departmentalService.extend({
  created_at: perthTime,
  updated_at: perthTime,
})
