import { z } from 'zod'
import { fileUrl, id, perthTime } from './values.ts'

/** An agency as lists and its people show it. */
export const agency = z.strictObject({
  id,
  name: z.string(),
  key_stakeholder: id.nullable(),
  is_active: z.boolean(),
  image: z.strictObject({ id, file: fileUrl.nullable() }).nullable(),
})

/** An agency by itself. */
export const agencyDetail = agency
  .omit({ image: true })
  .extend({ created_at: perthTime, updated_at: perthTime })
