import { z } from 'zod'
import { id, perthTime } from './values.ts'

/** A service of the department as it stands in lists. */
export const departmentalService = z.strictObject({
  id,
  name: z.string(),
  director: id.nullable(),
})

/** A service of the department by itself. */
export const departmentalServiceDetail = departmentalService.extend({
  created_at: perthTime,
  updated_at: perthTime,
})
