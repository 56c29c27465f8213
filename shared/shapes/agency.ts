import { z } from 'zod'
import { fileUrl, id, perthTime } from './values.ts'

/** An agency in lists and in the entities of its staff. */
export const agency = z.strictObject({
  id,
  name: z.string(),
  key_stakeholder: id.nullable(),
  is_active: z.boolean(),
  image: z.strictObject({ id, file: fileUrl.nullable() }).nullable(),
})

/** A single agency. */
export const agencyDetail = agency
  .omit({ image: true })
  .extend({ created_at: perthTime, updated_at: perthTime })
